source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "shell" {
    inlin            = ["true"]
    script           = "a.sh"
    environment_vars = ["NOT A PAIR"]
    pause_before     = "ten seconds"
    valid_exit_codes = 0
  }
  provisioner "shell" {
    inline = ["true"]
    script = "a.sh"
  }
  provisioner "file" {
    source    = "a"
    direction = "uplod"
  }
  provisioner "shell" {
    inline = "true"
  }
  provisioner "shell" {
  }
}
