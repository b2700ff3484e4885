locals {
  steps = {
    first  = { type = "shell", run = "echo a" }
    second = { type = "shell-local", run = "echo b" }
  }
}

source "arm-image" "pi" {
  iso_url      = "a.img"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "shell" {
    inline = ["echo before"]
  }
  dynamic "provisioner" {
    for_each = local.steps
    iterator = step
    labels   = [step.value.type]
    content {
      inline = ["${step.value.run} # ${step.key} of ${source.name}"]
    }
  }
  provisioner "shell" {
    inline = ["echo after"]
  }
  dynamic "error-cleanup-provisioner" {
    for_each = [1]
    labels   = ["shell"]
    content {
      inline = ["echo failed"]
    }
  }
  dynamic "post-processor" {
    for_each = ["sha1", "sha256"]
    labels   = ["checksum"]
    content {
      checksum_types = [post-processor.value]
    }
  }
  dynamic "post-processor" {
    for_each = []
    labels   = ["checksum"]
    content {}
  }
}
