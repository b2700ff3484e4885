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

variable "ssid" {
  description = "the name of the wireless network"
}

variable "passphrase" {
  description = "its passphrase"
  sensitive   = true
}

source "arm-image" "card" {
  iso_url         = var.image
  iso_checksum    = var.checksum
  image_type      = "raspberrypi"
  output_filename = "${var.hostname}.img"
}

build {
  sources = ["source.arm-image.card"]

  provisioner "shell" {
    inline = [
      "echo ${var.hostname} > /etc/hostname",
      "sed -i 's/^127\\.0\\.1\\.1.*/127.0.1.1 ${var.hostname}/' /etc/hosts",
      "mkdir -p /etc/NetworkManager/system-connections",
    ]
  }

  provisioner "file" {
    destination = "/etc/NetworkManager/system-connections/wifi.nmconnection"
    content     = <<-CONNECTION
      [connection]
      id=wifi
      type=wifi

      [wifi]
      ssid=${var.ssid}

      [wifi-security]
      key-mgmt=wpa-psk
      psk=${var.passphrase}
    CONNECTION
  }

  # NetworkManager ignores a connection that others can read.
  provisioner "shell" {
    inline = ["chmod 600 /etc/NetworkManager/system-connections/wifi.nmconnection"]
  }
}
