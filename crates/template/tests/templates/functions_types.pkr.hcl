locals {

  can     = [can(local.list[5]), can(local.list[0])]
  list    = ["a"]
  try     = [try(local.list[5], local.nothing.x, "fallback"), try(local.list[0], "no")]
  convert = [convert("5", number), convert([1, 2], list(string)), convert({ a = 1 }, map(string)), convert(["b", "a", "a"], set(string))]
}
