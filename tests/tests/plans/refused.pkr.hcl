source "arm-image" "a" {
  iso_url                  = "ftp://example.org/a.img"
  iso_checksum             = "sha256:abc"
  output_filename          = "same.img"
  image_arch               = "arm64be"
  image_mounts             = ["boot", "/"]
  additional_chroot_mounts = [["nfs", "server:/", "/mnt"], ["bind", "tree", "relative"]]
  qemu_binary              = "no-such-qemu"
}

source "arm" "b" {
  file_urls          = ["https://example.org/b.img"]
  file_checksum      = "abc"
  file_checksum_type = "sha1"
  image_build_method = "resize"
  image_size         = "a lot"
  image_path         = "same.img"
  image_partitions {
    name       = "root"
    mountpoint = "/"
    size       = "0"
    filesystem = "ext4"
    type       = "83"
  }
  qemu_binary_source_path = "qemu-nothing"
}

build {
  sources = ["source.arm-image.a", "source.arm.b"]
  provisioner "shell" {
    script          = "not-there.sh"
    execute_command = "{{ .Nothing }} {{ .Path }}"
  }
  provisioner "shell-local" {
    inline          = ["true"]
    execute_command = ["python3", "{{.Script}}"]
  }
  provisioner "file" {
    source      = "not-there"
    destination = "/opt"
  }
}
