source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "shell" {
    name   = "update"
    inline = ["apt-get update"]
  }
  provisioner "shell" {
    name   = ["update"]
    inline = ["apt-get update"]
  }
}
