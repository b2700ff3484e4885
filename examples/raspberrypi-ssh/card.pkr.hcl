variable "image" {
  description = "Raspberry Pi OS: a URL or a path"
  default     = "https://downloads.raspberrypi.com/raspios_lite_arm64_latest"
}

variable "checksum" {
  description = "its checksum: sha256:HEX, or file:URL of a list"
  default     = "none"
}

variable "key" {
  description = "the file with your public key"
  default     = "~/.ssh/id_ed25519.pub"
}

source "arm-image" "card" {
  iso_url         = var.image
  iso_checksum    = var.checksum
  image_type      = "raspberrypi"
  output_filename = "card.img"
}

build {
  sources = ["source.arm-image.card"]

  provisioner "shell" {
    inline = ["mkdir -p -m 700 /root/.ssh", "mkdir -p /etc/ssh/sshd_config.d"]
  }

  provisioner "file" {
    content     = file(pathexpand(var.key))
    destination = "/root/.ssh/authorized_keys"
  }

  provisioner "file" {
    content     = "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    destination = "/etc/ssh/sshd_config.d/10-keys-only.conf"
  }

  # Raspberry Pi OS starts its SSH server where it finds this file.
  provisioner "shell" {
    inline = ["chmod 600 /root/.ssh/authorized_keys", "touch /boot/firmware/ssh"]
  }
}
