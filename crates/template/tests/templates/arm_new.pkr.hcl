source "arm" "arch" {
  file_urls               = ["https://example.org/ArchLinuxARM.tar.gz"]
  file_checksum_type      = "none"
  image_build_method      = "new"
  image_path              = "arch.img"
  image_size              = "2G"
  qemu_binary_source_path = "/usr/bin/qemu-arm-static"
  image_partitions {
    name = "root"
    type = "83"
    size = "0"
  }
}

build {
  sources = ["source.arm.arch"]
}
