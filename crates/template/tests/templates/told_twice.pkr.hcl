variable "wrong" {
  type = strin
}

variable "twice" {
  type    = number
  default = 1
}

variable "twice" {
  default = 1
}

locals {
  a = 1
}

local "a" {
  expression = 2
}

source "arm-image" "pi" {
  iso_url      = "a.img"
  iso_checksum = "none"
}

source "arm-image" "pi" {
  iso_url           = "a.img"
  iso_checksum      = "none"
  target_image_size = 1.5
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "shell" {
    inline      = ["echo ${var.wrong}"]
    max_retries = -1
    override = {
      pi = {
        inlin            = ["x"]
        valid_exit_codes = [1e30]
      }
      pie = {
        inline = ["y"]
      }
    }
  }
}
