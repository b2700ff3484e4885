packer {
  required_plugins {
    arm = {
      source  = "github.com/mkaczanowski/builder-arm"
      version = "~> 1.1"
    }
  }
}

variable "gone" {
  type = string
}

variable "image" {
  type = string
}

variable "sums" {
  type = string
}

variable "qemu" {
  type    = string
  default = "/usr/bin/qemu-aarch64-static"
}

source "arm" "card" {
  file_urls             = [var.gone, var.image]
  file_checksum_url     = var.sums
  file_checksum_type    = "sha256"
  file_target_extension = "xz"
  file_unarchive_cmd    = ["xz", "--decompress", "$ARCHIVE_PATH"]
  image_build_method    = "resize"
  image_path            = "larger.img"
  image_size            = "160M"
  image_type            = "dos"

  image_partitions {
    name         = "boot"
    type         = "c"
    start_sector = "16384"
    filesystem   = "fat"
    size         = "40M"
    mountpoint   = "/boot/firmware"
  }

  image_partitions {
    name         = "root"
    type         = "83"
    start_sector = "98304"
    filesystem   = "ext4"
    size         = "0"
    mountpoint   = "/"
  }

  image_chroot_env             = ["PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin", "KITCHEN=warm"]
  qemu_binary_source_path      = var.qemu
  qemu_binary_destination_path = "/usr/bin/qemu-aarch64-static"

  additional_chroot_mounts {
    mount_type       = "bind"
    source_path      = "tree"
    destination_path = "/srv/tree"
  }
}

build {
  sources = ["source.arm.card"]

  provisioner "shell" {
    inline = [
      "echo $KITCHEN > /etc/told",
      "echo dtoverlay=disable-bt >> /boot/firmware/config.txt",
      "echo seen > /srv/tree/larger",
    ]
  }
}
