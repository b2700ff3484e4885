source "arm-image" "pi" {
  iso_url      = "a.img"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]

  dynamic "provisioner" {
    for_each = ["a"]
    content {
      inline = ["a"]
    }
  }
  dynamic "provisioner" {
    for_each = ["a"]
    labels   = ["shell", "local"]
    content {
      inline = ["a"]
    }
  }
  dynamic "provisioner" {
    for_each = ["shel", "shell"]
    labels   = [provisioner.value]
    content {
      inlin = [provisioner.key]
    }
  }
  dynamic "provisioner" {
    labels = [nothing]
  }
  dynamic "source" {
    for_each = ["a"]
    labels   = ["source.arm-image.pi"]
    content {}
  }
  dynamic {
    for_each = []
  }
  dynamic "error-cleanup-provisioner" {
    for_each = [1, 2]
    labels   = ["shell"]
    content {
      inline = ["a"]
    }
  }
}
