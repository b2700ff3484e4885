build {
  sources = ["source.arm-image.pi"]
}
