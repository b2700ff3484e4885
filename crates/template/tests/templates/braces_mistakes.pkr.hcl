source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "shell" {
    inline = ["{{ user `x` }}"]
  }
  provisioner "shell" {
    inline = [
      "fine",
      "{{ isotme }}",
    ]
  }
  provisioner "shell" {
    inline = ["{{ if .X }}a{{ end }}"]
  }
  provisioner "shell" {
    inline = ["{{ unclosed"]
  }
  provisioner "shell" {
    inline = ["{{ env `HOME` }}"]
  }
}
