variable "image" {
  description = "an image of BeagleBoard.org: a URL or a path"
}

variable "checksum" {
  description = "its checksum: sha256:HEX, or file:URL.sha256sum"
  default     = "none"
}

variable "hostname" {
  default = "beagle"
}

variable "user" {
  default = "debian"
}

variable "password" {
  description = "the user's password"
  sensitive   = true
}

variable "key" {
  description = "the file with your public key"
  default     = "~/.ssh/id_ed25519.pub"
}

source "arm-image" "board" {
  iso_url         = var.image
  iso_checksum    = var.checksum
  image_type      = "beaglebone"
  output_filename = "${var.hostname}.img"
}

build {
  sources = ["source.arm-image.board"]

  provisioner "shell" {
    env = {
      NAME     = var.hostname
      LOGIN    = var.user
      PASSWORD = var.password
      KEY      = trimspace(file(pathexpand(var.key)))
    }
    inline = [
      "cd /boot/firmware",
      "echo \"hostname=$NAME\" >> sysconf.txt",
      "echo \"user_name=$LOGIN\" >> sysconf.txt",
      "echo \"user_password=$PASSWORD\" >> sysconf.txt",
      "echo \"user_authorized_key=$KEY\" >> sysconf.txt",
    ]
  }

  provisioner "file" {
    source      = "${path.root}/heartbeat.service"
    destination = "/etc/systemd/system/heartbeat.service"
  }

  # What `systemctl enable` does, without systemd.
  provisioner "shell" {
    inline = [
      "mkdir -p /etc/systemd/system/multi-user.target.wants",
      "ln -sf ../heartbeat.service /etc/systemd/system/multi-user.target.wants/heartbeat.service",
    ]
  }
}
