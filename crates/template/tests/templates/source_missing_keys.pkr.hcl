source "arm-image" "pi" {
  iso_urls = []
}

source "arm-image" "unused" {
  iso_url = "a"
}

build {
  sources = ["source.arm-image.pi"]
}
