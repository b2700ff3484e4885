source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "shel" {
    inline = ["true"]
  }
  provisioner "powershell" {
    inline = ["dir"]
  }
  provisioner {
    inline = ["true"]
  }
}
