locals {

  missing   = file("nothing.txt")
  recursive = templatefile("loop.tftpl", {})
  broken    = templatefile("broken.tftpl", {})
  json      = jsondecode("{")
  base64    = base64decode("***")
  regex     = regex("(", "x")
  cost      = bcrypt("x", 31)
  date      = formatdate("YYY", timestamp())
}
