source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]

  post-processors {
    post-processor "checksum" {
    }
    post-processor "compress" {
      name   = "pack"
      output = "image.xz"
    }
  }
}
