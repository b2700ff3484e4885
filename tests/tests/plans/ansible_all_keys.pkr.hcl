source "arm-image" "card" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.card"]

  provisioner "ansible" {
    playbook_file          = "site.yml"
    command                = "/opt/ansible/bin/ansible-playbook"
    host_alias             = "kitchen"
    groups                 = ["boards", "warm"]
    empty_groups           = ["cold"]
    inventory_directory    = "group"
    extra_arguments        = ["--connection=chroot", "-i", "/mnt/image,", "-e", "ansible_host=/mnt/image", "-e", "at=${build.MountPath}/boot it's"]
    ansible_env_vars       = ["ANSIBLE_CONFIG=ansible.cfg", "ANSIBLE_PIPELINING=0"]
    galaxy_file            = "requirements.yml"
    galaxy_command         = "/opt/ansible/bin/ansible-galaxy"
    galaxy_force_install   = true
    galaxy_force_with_deps = true
    roles_path             = "roles"
    collections_path       = "collections"
    keep_inventory_file    = true
    skip_version_check     = true
    use_proxy              = false
    user                   = "pi"
    pause_before           = "1s"
    timeout                = "30m"
    max_retries            = 1
  }
}
