source "arm-image" "pi" {
  iso_url             = "https://example.org/raspios.img.xz"
  iso_checksum        = "none"
  packer_build_name   = "pi"
  packer_builder_type = "arm-image"
  packer_debug        = false
  packer_force        = false
  packer_on_error     = "cleanup"
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "shell" {
    inline                = ["a"]
    packer_core_version   = "1.9.0"
    packer_user_variables = {}
  }
}
