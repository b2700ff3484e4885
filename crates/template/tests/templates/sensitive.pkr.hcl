variable "password" {
  type      = string
  sensitive = true
}

local "hash" {
  expression = "salted-${sha256(var.password)}"
  sensitive  = true
}

locals {
  line  = "pi:${var.password}"
  users = { pi = var.password, root = "none" }
}
source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]
  provisioner "shell" {
    inline = ["echo ${local.line} | chpasswd", "echo ${local.users.root}"]
    env    = { PASSWORD = var.password }
  }
}
