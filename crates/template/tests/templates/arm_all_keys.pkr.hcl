packer {
  required_version = ">= 1.7"
  required_plugins {
    arm = {
      version = ">= 1.0.0"
      source  = "github.com/cdecoux/builder-arm"
    }
  }
}

source "arm" "rpi" {
  file_urls             = ["https://example.org/raspios.zip"]
  file_checksum_url     = "https://example.org/raspios.zip.sha256"
  file_checksum_type    = "sha256"
  file_target_extension = "zip"
  file_unarchive_cmd    = ["unzip", "$ARCHIVE_PATH"]
  image_build_method    = "resize"
  image_path            = "raspios.img"
  image_size            = "4G"
  image_type            = "dos"
  image_partitions {
    name         = "boot"
    type         = "c"
    start_sector = 8192
    filesystem   = "vfat"
    size         = "256M"
    mountpoint   = "/boot"
  }
  image_partitions {
    name       = "root"
    type       = "83"
    size       = "0"
    filesystem = "ext4"
    mountpoint = "/"
  }
  additional_chroot_mounts {
    mount_type       = "bind"
    source_path      = "/srv"
    destination_path = "/srv"
  }
  image_chroot_env             = ["PATH=/usr/local/bin:/usr/bin:/bin"]
  image_setup_extra            = [["cp", "cmdline.txt", "$MOUNTPOINT/boot/"], ["sync"]]
  qemu_binary_source_path      = "/usr/bin/qemu-arm-static"
  qemu_binary_destination_path = "/usr/bin/qemu-arm-static"
}

build {
  sources = ["source.arm.rpi"]
  provisioner "shell" {
    inline = ["touch /tmp/test"]
  }
}
