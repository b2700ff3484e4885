variable "image" {
  description = "an image of Armbian: a URL or a path"
}

variable "checksum" {
  description = "its checksum: sha256:HEX, or file:URL.sha"
  default     = "none"
}

variable "packages" {
  description = "what to install"
  type        = list(string)
  default     = ["tree"]
}

variable "size" {
  description = "how large the image is to be, in bytes"
  default     = 4294967296
}

source "arm-image" "board" {
  iso_url           = var.image
  iso_checksum      = var.checksum
  image_type        = "armbian"
  resolv-conf       = "bind-host"
  target_image_size = var.size
  output_filename   = "armbian.img"
}

build {
  sources = ["source.arm-image.board"]

  provisioner "shell" {
    env = {
      DEBIAN_FRONTEND = "noninteractive"
    }
    inline = [
      "apt-get update",
      "apt-get install -y --no-install-recommends ${join(" ", var.packages)}",
      "apt-get clean",
    ]
  }
}
