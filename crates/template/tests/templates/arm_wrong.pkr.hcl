source "arm" "bad" {
  file_url           = ["https://example.org/a.zip"]
  image_build_method = "rezise"
  image_size         = "2G"
  image_size_bytes   = 2147483648
  image_partitions {
    nam  = "root"
    type = "83"
  }
}

build {
  sources = ["source.arm.bad"]
}
