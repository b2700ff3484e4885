hostname = "from-a"
users = ["a"]
