source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "file" {
    source      = "${path.root}/files/"
    destination = "/etc/"
  }
  provisioner "file" {
    content     = <<-EOT
      [Unit]
      Description=${upper("kiosk")}
        Indented=yes
    EOT
    destination = "/etc/systemd/system/kiosk.service"
  }
  provisioner "file" {
    direction   = "download"
    sources     = ["/var/log/dpkg.log", "/etc/os-release"]
    destination = "logs/"
    generated   = true
  }
}
