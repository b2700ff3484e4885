# Attributes that may be missing, and what they are then.
variable "host" {
  type = object({
    name = string
    port = optional(number, "8080")
    tls  = optional(bool)
    user = optional(object({ name = optional(string, "pi"), groups = optional(list(string), ["adm"]) }), {})
  })
  default = { name = "web" }
}

variable "hosts" {
  type    = list(object({ name = string, port = optional(number, 80) }))
  default = [{ name = "a" }, { name = "b", port = null }, { name = "c", port = 443 }]
}

variable "named" {
  type    = map(object({ port = optional(number, 80) }))
  default = { a = {}, b = { port = "1" } }
}

variable "pair" {
  type    = tuple([string, object({ a = optional(string, upper("x")) })])
  default = ["one", {}]
}

variable "secret" {
  type      = object({ word = optional(string, "hunter2") })
  default   = {}
  sensitive = true
}

locals {
  converted = convert({ a = 1 }, object({ a = string, b = optional(string, "two") }))
}

source "arm-image" "pi" {
  iso_url      = "a.img?${var.secret.word}"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]
}
