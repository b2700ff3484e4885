source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "shell-local" {
    inline          = ["ls ${build.MountPath}/boot"]
    env             = { ROOT = build.MountPath }
    only_on         = ["linux"]
    execute_command = ["/bin/sh", "-c", "{{.Vars}} {{.Script}}"]
  }
  provisioner "ansible" {
    playbook_file           = "site.yml"
    inventory_file_template = "default ansible_host=${build.MountPath} ansible_connection=chroot\n"
    extra_arguments         = ["--connection=chroot", "-e", "host=${build.MountPath}"]
    galaxy_file             = "requirements.yml"
    use_proxy               = false
  }
  provisioner "breakpoint" {
    disable = true
    note    = "look around"
  }
}
