locals {

  sum        = 1 + 2 * 3 - 4 / 2 % 3
  text_sum   = "5" + 1
  logic      = !false && (1 < 2 || 3 >= 4) && "a" != "b"
  short      = false && local.list[99]
  negative   = -(2 + 3)
  choice     = 2 > 1 ? "yes" : "no"
  list       = [1, 2, 3]
  map        = { a = 1, "b" = 2, (upper("c")) = 3, d : 4 }
  index      = [local.list[0], local.map["b"], local.map.a, local.list.1]
  squares    = [for n in local.list : n * n if n != 2]
  by_name    = { for key, value in local.map : value => key }
  indexes    = [for index, n in local.list : index]
  grouped    = { for word in ["apple", "avocado", "beet"] : substr(word, 0, 1) => word... }
  people     = [{ name = "ann", pets = ["cat"] }, { name = "bob", pets = [] }]
  names      = local.people[*].name
  old_names  = local.people.*.name
  single     = "x"[*]
  none       = null[*]
  pets       = flatten(local.people[*].pets)
  expanded   = max(local.list...)
  escaped    = "$${not} %%{this} \"quoted\" \u00e9\n"
  unwrapped  = "${local.list}"
  big        = 9007199254740992
  fraction   = 0.1 + 0.5
}
