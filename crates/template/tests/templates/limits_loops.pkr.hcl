locals {

  n = range(1000)
  m = [for a in local.n : [for b in local.n : [for c in local.n : a * b * c]]]
}
