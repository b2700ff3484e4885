locals {
  archs = ["arm", "armbe", "arm64", "arm64be"]
  files = ["off", "copy-host", "bind-host", "delete"]
}

source "arm-image" "s0" {
  iso_url      = "a.img"
  iso_checksum = "none"
  image_arch   = local.archs[0]
  resolv-conf  = local.files[0]
}

source "arm-image" "s1" {
  iso_url      = "a.img"
  iso_checksum = "none"
  image_arch   = local.archs[1]
  resolv-conf  = local.files[1]
}

source "arm-image" "s2" {
  iso_url      = "a.img"
  iso_checksum = "none"
  image_arch   = local.archs[2]
  resolv-conf  = local.files[2]
}

source "arm-image" "s3" {
  iso_url      = "a.img"
  iso_checksum = "none"
  image_arch   = local.archs[3]
  resolv-conf  = local.files[3]
}

build {
  sources = ["source.arm-image.s0", "source.arm-image.s1", "source.arm-image.s2", "source.arm-image.s3"]
}
