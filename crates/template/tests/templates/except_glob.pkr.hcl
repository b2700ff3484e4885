source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

source "arm-image" "bone" {
  iso_url      = "https://example.org/bone.img.xz"
  iso_checksum = "none"
}

build {
  name    = "lab"
  sources = ["arm-image.pi", "arm-image.bone"]
}

build {
  sources = ["arm-image.pi"]
}
