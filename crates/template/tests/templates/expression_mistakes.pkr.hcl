locals {

  a = 1 / 0
  b = "a" + 1
  c = [1, 2][2]
  d = { a = 1 }.b
  e = nothing
  f = [for x in 5 : x]
  g = { for x in ["a", "a"] : x => 1 }
  h = "${[1]}"
  i = 5 ? 1 : 2
  j = uper("x")
  k = upper()
  l = upper([])
  m = list
  n = locals.a
  o = "a".b
  p = max("a"...)
  q = vault("secret/x", "y")
  r = env("HOME")
  s = provider::f(1)
  t = !"maybe"
  u = path.rot
  v = range(1, 2, 1.5)[cidrhost("10.0.0.0/8", 1.5)]
  w = chunklist([1], -1)
  x = max()
}
