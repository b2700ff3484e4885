locals {

  alltrue         = [alltrue([true, true]), anytrue([false, false])]
  chunklist       = chunklist([1, 2, 3], 2)
  coalesce        = coalesce(null, "b")
  coalescelist    = coalescelist([], ["x"])
  compact         = compact(["a", "", null, "b"])
  concat          = concat([1], [2, 3])
  contains        = contains(["a"], "a")
  distinct        = distinct(["b", "a", "b"])
  element         = element(["a", "b"], 3)
  flatten         = flatten([["a", ["b"]], [], "c"])
  index           = index(["a", "b"], "b")
  keys            = keys({ b = 1, a = 2 })
  length          = [length([1]), length({ a = 1, b = 2 }), length("äöü")]
  lookup          = [lookup({ a = 1 }, "a"), lookup({}, "b", "none")]
  merge           = merge(null, { a = 1, b = 1 }, { b = 2 })
  range           = [range(3), range(1, 4), range(0, 1, 0.5), range(3, 0)]
  reverse         = reverse([1, 2])
  setintersection = setintersection(["a", "b"], ["b", "c"])
  setproduct      = setproduct(["a", "b"], [1, 2])
  setunion        = setunion(["b"], ["a"])
  slice           = slice(["a", "b", "c"], 1, 3)
  sort            = sort(["c", "a"])
  values          = values({ b = 1, a = 2 })
  zipmap          = zipmap(["a", "b"], [1, 2])
  coalesce_text   = [coalesce("", "b"), coalesce(null, "", 0)]
  coalesce_none   = can(coalesce("", null))
}
