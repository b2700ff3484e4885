source "arm-image" "a" {
  iso_url      = "https://example.org/a.img.xz"
  iso_checksum = "none"
}

source "arm-image" "b" {
  iso_url      = "https://example.org/b.img.xz"
  iso_checksum = "none"
}

build {
  name    = "both"
  sources = ["source.arm-image.a", "arm-image.b"]

  provisioner "shell" {
    inline = ["echo ${source.name} of ${build.name} is ${source.type}"]
    override = {
      b = { inline = ["echo overridden"] }
    }
  }
  provisioner "shell" {
    only   = ["arm-image.a"]
    inline = ["echo only a"]
  }
  provisioner "shell" {
    except = ["arm-image.a"]
    inline = ["echo not a"]
  }
  provisioner "shell" {
    only   = ["arm-image.c"]
    inline = ["echo never"]
  }
}
