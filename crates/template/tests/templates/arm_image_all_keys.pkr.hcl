source "arm-image" "all" {
  iso_urls                 = ["https://example.org/a.img.xz", "https://mirror.example.org/a.img.xz"]
  iso_checksum             = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  iso_target_path          = "cache/a.img.xz"
  iso_target_extension     = "img.xz"
  command_wrapper          = "sudo {{.Command}}"
  output_filename          = "output/${source.name}.img"
  image_type               = "raspberrypi"
  image_arch               = "arm64"
  image_mounts             = ["/boot", "/"]
  mount_path               = "/mnt/image"
  chroot_mounts            = [["proc", "proc", "/proc"], ["bind", "/dev", "/dev"]]
  additional_chroot_mounts = [["bind", "/srv/cache", "/var/cache/apt"]]
  resolv-conf              = "bind-host"
  target_image_size        = 4 * 1024 * 1024 * 1024
  qemu_binary              = "qemu-aarch64-static"
  disable_embedded         = false
  qemu_args                = ["-cpu", "cortex-a72"]
  qemu_required            = true
}

build {
  name    = "all"
  sources = ["source.arm-image.all"]
}
