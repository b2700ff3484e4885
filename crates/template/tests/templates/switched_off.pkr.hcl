source "arm-image" "pi" {
  iso_url          = "https://example.org/raspios.img.xz"
  iso_checksum     = "none"
  disable_embedded = false

  target_image_size         = 1073741824
  last_partition_extra_size = 0
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "shell" {
    inline            = ["a"]
    expect_disconnect = false
  }
  provisioner "ansible" {
    playbook_file = "a.yml"
    use_proxy     = false
    use_sftp      = true
  }
}
