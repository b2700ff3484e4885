source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  name = "family"
  source "source.arm-image.pi" {
    name            = "lite"
    output_filename = "lite.img"
  }
  source "arm-image.pi" {
    name              = "full"
    output_filename   = "${source.name}.img"
    target_image_size = 8589934592
  }
  provisioner "shell" {
    only   = ["arm-image.full"]
    inline = ["echo {{ build_name }} {{build_type}}"]
  }
}
