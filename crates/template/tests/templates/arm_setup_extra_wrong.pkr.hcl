source "arm" "a" {
  file_urls               = ["a.zip"]
  file_checksum_type      = "none"
  image_build_method      = "reuse"
  image_path              = "a.img"
  image_size              = "4G"
  image_setup_extra       = ["cp a b"]
  qemu_binary_source_path = "qemu"
  image_partitions {
    name = "root"
    type = "83"
    size = "0"
  }
}

source "arm" "b" {
  file_urls               = ["a.zip"]
  file_checksum_type      = "none"
  image_build_method      = "reuse"
  image_path              = "a.img"
  image_size              = "4G"
  image_setup_extra       = [[]]
  qemu_binary_source_path = "qemu"
  image_partitions {
    name = "root"
    type = "83"
    size = "0"
  }
}

source "arm" "c" {
  file_urls               = ["a.zip"]
  file_checksum_type      = "none"
  image_build_method      = "reuse"
  image_path              = "a.img"
  image_size              = "4G"
  image_setup_extra       = "cp"
  qemu_binary_source_path = "qemu"
  image_partitions {
    name = "root"
    type = "83"
    size = "0"
  }
}

build {
  sources = ["source.arm.a", "source.arm.b", "source.arm.c"]
}
