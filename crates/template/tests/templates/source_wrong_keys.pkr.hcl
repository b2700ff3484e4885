source "arm-image" "pi" {
  iso_ulr           = "https://example.org/a.img.xz"
  iso_checksum_type = "sha256"
  image_type        = "raspberypi"
  image_mounts      = "/"
  chroot_mounts     = [["proc", "proc"]]
  resolv_conf       = "off"
  target_image_size = "4G"
  qemu_required     = "maybe"
  ssh_username      = "pi"
  image_partitions {
    name = "x"
  }
}

build {
  sources = ["source.arm-image.pi"]
}
