source "arm-image" "card" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.card"]

  provisioner "ansible" {
    playbook_file   = "not-there.yml"
    command         = "no-such-ansible"
    galaxy_file     = "requirements.yml"
    galaxy_command  = "/opt/no-such-galaxy"
    inventory_file  = "hosts"
    host_alias      = "my board"
    groups          = ["[all]", "${build.MountPath}"]
    empty_groups    = ["a$b", ""]
    extra_arguments = ["-e", "host=${build.Host}"]
  }
}
