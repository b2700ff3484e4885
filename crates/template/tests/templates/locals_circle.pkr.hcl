locals {
  a     = local.b
  b     = [local.c]
  c     = { x = local.a }
  d     = local.a
  e     = 1
  typo  = local.f
  again = local.typo
}

locals {
  e = 2
}
