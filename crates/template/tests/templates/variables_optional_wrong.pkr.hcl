variable "type" {
  type    = object({ port = optional(number, "many") })
  default = {}
}

variable "three" {
  type    = object({ port = optional(number, 1, 2) })
  default = {}
}

variable "needs" {
  type    = object({ port = optional(number, var.type) })
  default = {}
}

variable "more" {
  type    = list(object({ list = optional(list(number), range(1000)) }))
  default = flatten([for a in range(100) : [for b in range(100) : {}]])
}
