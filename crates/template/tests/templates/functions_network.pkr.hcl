locals {

  host    = [cidrhost("10.12.127.0/20", 16), cidrhost("10.0.0.0/8", -1), cidrhost("fd00:fd12:3456::/48", 34)]
  netmask = cidrnetmask("172.16.0.0/12")
  subnet  = [cidrsubnet("172.16.0.0/12", 4, 2), cidrsubnet("fd00::/8", 8, 255)]
  subnets = cidrsubnets("10.1.0.0/16", 4, 4, 8, 4)
  all     = cidrhost("::/0", 5)
}
