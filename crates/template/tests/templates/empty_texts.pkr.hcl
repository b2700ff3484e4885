# What is empty is not set, as a variable that may be left out; `only = []` leaves nothing out.
variable "script" {
  default = ""
}

source "arm-image" "pi" {
  iso_url         = var.script
  iso_urls        = ["a.img"]
  iso_checksum    = "none"
  output_filename = ""
  resolv-conf     = ""
  qemu_binary     = ""
  image_mounts    = []
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "shell" {
    inline          = ["true"]
    script          = var.script
    scripts         = []
    only            = []
    execute_command = ""
    user            = ""
  }
  provisioner "file" {
    content     = ""
    destination = "/etc/empty"
    direction   = ""
    owner       = ""
  }
  post-processor "compress" {
    format = ""
    output = ""
  }
}
