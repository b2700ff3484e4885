variable "a" {
  type    = map(number)
  default = { x = "1", y = 2 }
}

variable "b" {
  type    = object({ name = string, port = number, tls = optional(bool) })
  default = { name = "web", port = "80", more = 1 }
}

variable "c" {
  type    = set(string)
  default = ["b", "a", "b"]
}

variable "d" {
  type    = tuple([string, bool])
  default = [1, "true"]
}

variable "e" {
  type    = any
  default = [1, "two", null]
}

variables {
  f = 5
  g = "six"
}
