locals {
  x = "﷐"
}
