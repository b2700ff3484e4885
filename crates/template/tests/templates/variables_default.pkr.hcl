variable "hostname" {
  type        = string
  default     = "default"
  description = "The name of the machine."
}

variable "users" {
  type    = list(string)
  default = []
}

variable "size" {
  type    = number
  default = 1
}

variable "ssh" {
  default = true
}

variable "home" {
  default = env("HOME")
}

variable "nothing" {
  type    = string
  default = null
}
