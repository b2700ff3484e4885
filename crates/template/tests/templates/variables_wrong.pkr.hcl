variable "unset" {
  type = string
}

variable "type" {
  type    = lst(string)
  default = []
}

variable "default" {
  type    = number
  default = "many"
}

variable "object" {
  type    = object({ a = string })
  default = {}
}

variable "uses" {
  default = var.default
}

variable "uses" {
  default = 1
}

variable "key" {
  defalt = 1
}

variable {
}

locals {
  fine = "${var.unset} ${var.default}"
  typo = var.defualt
}
