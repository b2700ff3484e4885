hostname = "from-b"
