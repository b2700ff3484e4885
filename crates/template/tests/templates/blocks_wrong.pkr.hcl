packer {
  required_version = ">= 1.7"
  required_plugins {
    arm-image = {
      version = ">= 0.2.7"
      source  = "github.com/solo-io/arm-image"
    }
  }
  plugins = 1
}

data "http" "release" {
  url = "https://example.org"
}

biuld {
}

provisioner "shell" {
}

answer = 42

source "arm-image" {
}

locals {
  block {
  }
}

local "x" {
  value = 1
}

build {
  sorces = []
  provisoner "shell" {
  }
}
