source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "shell-local" {
    inline = [
      "mount | grep ${build.MountPath}",
      format("%s/boot", build.MountPath),
      join("/", [build.MountPath, "etc"]),
      "{{ build `MountPath` }}/usr",
    ]
  }
}
