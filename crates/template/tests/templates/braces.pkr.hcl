source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "shell" {
    inline = [
      "echo {{ timestamp }} {{isotime \"2006-01-02\"}} {{ isotime }}",
      "echo {{ template_dir }} {{ pwd }} {{ upper `x` | lower }} {{ packer_version }}",
      "echo {{ clean_resource_name `a b/c` }} {{ split `a-b` `-` 1 }} {{ replace_all `a` `b` `banana` }}",
      "a   {{- /* nothing */ -}}   b {{ \"{{\" }} {{ strftime `%Y/%m` }}",
    ]
  }
}
