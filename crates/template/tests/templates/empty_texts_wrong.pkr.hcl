variable "nothing" {
  default = ""
}

source "arm-image" "pi" {
  iso_url      = var.nothing
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi", "source.arm-image.pie"]

  provisioner "shell" {
    script = ""
  }
  provisioner "shell" {
    inline = []
  }
  provisioner "file" {
    source      = "a"
    destination = var.nothing
  }
  provisioner "shell" {
    inline       = ["true"]
    pause_before = ""
  }
}

build {
  sources = ["source.arm-image.pie"]
}

build {
  sources = []
}
