locals {
  partitions = [
    { name = "boot", type = "c", size = "256M", mount = "/boot" },
    { name = "root", type = "83", size = "0", mount = "/" },
  ]
}

source "arm" "x" {
  file_urls               = ["https://example.org/a.zip"]
  file_checksum_type      = "none"
  image_build_method      = "reuse"
  image_path              = "a.img"
  image_size              = "2G"
  qemu_binary_source_path = "/usr/bin/qemu-arm-static"
  dynamic "image_partitions" {
    for_each = local.partitions
    iterator = part
    content {
      name       = part.value.name
      type       = part.value.type
      size       = part.value.size
      mountpoint = part.value.mount
    }
  }
}

build {
  sources = ["source.arm.x"]
}
