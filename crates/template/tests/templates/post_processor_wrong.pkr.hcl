source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]

  post-processor "flash" {
    device = "/dev/sda"
  }
  post-processor "checksums" {
  }
  post-processor "checksum" {
    checksum_types = ["sha257"]
  }
  post-processors {
    name = "x"
    provisioner "shell" {
      inline = ["true"]
    }
  }
  post-processor "compress" {
    compression_level = 12
  }
}
