packer {
  required_plugins {
    arm-image = {
      source  = "github.com/solo-io/arm-image"
      version = ">= 0.2.7"
    }
  }
}

variable "gone" {
  type        = string
  description = "a mirror that is no more"
}

variable "image" {
  type = string
}

variable "sums" {
  type = string
}

variable "qemu" {
  type    = string
  default = "qemu-aarch64-static"
}

locals {
  mebibytes = 192
}

source "arm-image" "card" {
  iso_urls                 = [var.gone, var.image]
  iso_checksum             = "file:${var.sums}"
  iso_target_extension     = "img.xz"
  command_wrapper          = "sudo {{.Command}}"
  image_type               = "raspberrypi"
  image_arch               = "arm64"
  image_mounts             = ["", "/"]
  chroot_mounts            = [["proc", "proc", "/proc"], ["sysfs", "sysfs", "/sys"], ["bind", "/dev", "/dev"], ["devpts", "devpts", "/dev/pts"], ["binfmt_misc", "binfmt_misc", "/proc/sys/fs/binfmt_misc"]]
  additional_chroot_mounts = [["bind", "tree", "/srv/tree"]]
  target_image_size        = local.mebibytes * 1024 * 1024
  qemu_binary              = var.qemu
  qemu_args                = ["-E", "KITCHEN=warm"]
  qemu_required            = true
  disable_embedded         = true
}

build {
  name = "cards"

  source "source.arm-image.card" {
    name            = "delete"
    resolv-conf     = "delete"
    output_filename = "o/${source.name}.img"
  }

  source "source.arm-image.card" {
    name            = "copy"
    resolv-conf     = "copy-host"
    output_filename = "o/copy.img"
  }

  source "source.arm-image.card" {
    name            = "bind"
    resolv-conf     = "bind-host"
    output_filename = "o/bind.img"
  }

  provisioner "shell" {
    environment_vars = ["GREETING=hello & welcome"]
    inline_shebang   = "/bin/sh -ex"
    inline = [
      "cat /etc/resolv.conf > /etc/resolver-seen || echo none > /etc/resolver-seen",
      "ls /boot/firmware > /etc/firmware-seen",
      "echo \"$KITCHEN $GREETING ${source.name}\" > /etc/told",
      "echo ${build.name} > /srv/tree/${source.name}",
    ]
  }

  provisioner "shell" {
    only             = ["arm-image.delete"]
    script           = "a.sh"
    execute_command  = "chmod +x {{ .Path }}; env {{ .Vars }} {{ .Path }} once"
    valid_exit_codes = [0, 3]
    env = {
      MODE = "quick"
    }
  }

  provisioner "file" {
    except      = ["arm-image.bind"]
    source      = "motd"
    destination = "/etc/motd"
  }

  post-processor "checksum" {
    checksum_types = ["sha256"]
    output         = "o/{{.BuildName}}.{{.ChecksumType}}"
  }
}
