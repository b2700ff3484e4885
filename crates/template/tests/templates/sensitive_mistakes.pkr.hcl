variable "password" {
  type      = number
  default   = "hunter2"
  sensitive = true
}

variable "other" {
  default   = parseint("hunter2", 10)
  sensitive = true
}

variable "third" {
  type      = string
  sensitive = true
}

locals {
  a = parseint(var.third, 10)
  b = { (var.third) = 1 }
  c = "hunter2" + 1
}
