locals {
  c = "${local.b}-c"
  b = "${local.a}-b"
}

local "a" {
  expression = "a"
}
