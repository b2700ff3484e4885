locals {

  range   = range(100000)
  width   = format("%99999d", 1)
  product = setproduct(range(1000), range(1000), range(1000))
}
