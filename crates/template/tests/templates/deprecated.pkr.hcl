source "arm-image" "old" {
  iso_url                   = "https://example.org/a.zip"
  iso_checksum              = "none"
  output_directory          = "out"
  last_partition_extra_size = 1073741824
}

build {
  sources = ["source.arm-image.old"]
}
