variable "image" {
  description = "Ubuntu Server for Raspberry Pi: a URL or a path"
}

variable "checksum" {
  description = "its checksum: sha256:HEX, or file:URL of SHA256SUMS"
  default     = "none"
}

variable "hostname" {
  default = "pi"
}

variable "key" {
  description = "your public key"
  default     = ""
}

source "arm-image" "server" {
  iso_url         = var.image
  iso_checksum    = var.checksum
  image_type      = "ubuntu"
  output_filename = "${var.hostname}.img"
}

build {
  sources = ["source.arm-image.server"]

  # cloud-init reads its seeds from the first partition at the first start.
  provisioner "file" {
    destination = "/boot/firmware/user-data"
    content = templatefile("${path.root}/user-data.tftpl", {
      hostname = var.hostname
      key      = var.key
    })
  }

  provisioner "file" {
    source      = "${path.root}/network-config"
    destination = "/boot/firmware/network-config"
  }
}
