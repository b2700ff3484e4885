variable "image" {
  description = "Raspberry Pi OS: a URL or a path"
  default     = "https://downloads.raspberrypi.com/raspios_lite_arm64_latest"
}

variable "checksum" {
  description = "its checksum: sha256:HEX, or file:URL of a list"
  default     = "none"
}

variable "hostname" {
  default = "kitchen"
}

source "arm-image" "card" {
  iso_url         = var.image
  iso_checksum    = var.checksum
  image_type      = "raspberrypi"
  output_filename = "${var.hostname}.img"
}

build {
  sources = ["source.arm-image.card"]

  provisioner "ansible" {
    playbook_file   = "${path.root}/site.yml"
    groups          = ["boards"]
    extra_arguments = ["--extra-vars", "hostname=${var.hostname}"]
  }
}
