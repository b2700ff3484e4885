source "arm-image" "pi" {
  iso_url          = "https://example.org/raspios.img.xz"
  iso_checksum     = "none"
  disable_embedded = false
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
