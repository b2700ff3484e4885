source "arm-image" "../../x y" {
  iso_url         = "a\u0000.img"
  iso_checksum    = "none"
  output_filename = "o.img"
}

source "arm-image" "it's a kitchen" {
  iso_url      = "a.img"
  iso_checksum = "none"
}

source "arm" "b" {
  file_urls               = ["a.img"]
  file_checksum_type      = "none"
  image_path              = "b.img"
  image_build_method      = "reuse"
  image_size              = "2G"
  qemu_binary_source_path = "/usr/bin/qemu-aarch64-static"
  image_chroot_env        = ["LANG"]
  image_partitions {
    name = "root"
    type = "83"
    size = "0\u0000"
  }
}

build {
  source "source.arm-image.it's a kitchen" {
    name = ".."
  }
  sources = ["source.arm.b"]

  provisioner "shell" {
    inline          = ["echo a\u0000b"]
    execute_command = "\u0000 {{.Path}}"
    env             = { "" = "x", "A=B" = "x" }
  }
  provisioner "shell" {
    inline           = ["true"]
    env              = { A = "\u0000" }
    environment_vars = ["A B=c"]
  }
  provisioner "shell-local" {
    inline = ["true"]
    env    = { "1A" = "x" }
  }
  provisioner "file" {
    content     = "this may have one: \u0000"
    destination = "/etc/a\u0000b"
    owner       = ":"
  }
  provisioner "file" {
    source      = "a"
    destination = "/etc/a"
    owner       = "pi:users:x"
  }
  provisioner "file" {
    content     = "\u0000"
    destination = "/etc/a"
    owner       = "0:0"
  }
  provisioner "ansible" {
    playbook_file    = "site.yml"
    ansible_env_vars = ["=x"]
  }
  post-processor "manifest" {
    custom_data = { A = "\u0000" }
  }
}
