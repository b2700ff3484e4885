source "arm-image" "pi" {
  iso_url      = "https://example.org/${build.MountPath}.img"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]
  provisioner "shell-local" {
    inline = [upper(build.MountPath)]
  }
  provisioner "shell-local" {
    inline = [build.MountPath == "/mnt" ? "a" : "b"]
  }
  provisioner "shell-local" {
    inline = [build.MountPaht]
  }
}
