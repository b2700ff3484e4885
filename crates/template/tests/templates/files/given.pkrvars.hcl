hostname = "from-given"
size = 4294967296
