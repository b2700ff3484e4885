locals {

  abs      = abs(-3.5)
  ceil     = ceil(1.2)
  floor    = floor(-1.2)
  log      = log(8, 2)
  max      = max(1, "5", 3)
  min      = min(4, 2)
  parseint = [parseint("ff", 16), parseint("-101", 2)]
  pow      = pow(2, 10)
  signum   = [signum(-2), signum(0), signum(9)]
  sum      = sum([1, 2, 3])
}
