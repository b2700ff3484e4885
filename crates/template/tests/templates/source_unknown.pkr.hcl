source "docker" "x" {
  image = "debian"
}

source "arm-imgae" "y" {
}

build {
  sources = ["source.docker.x", "source.arm-imgae.y"]
}
