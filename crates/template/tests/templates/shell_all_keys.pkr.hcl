source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "shell" {
    scripts             = ["a.sh", "b.sh"]
    binary              = false
    environment_vars    = ["LANG=C.UTF-8", "WHERE=${build.MountPath}"]
    env                 = { DEBIAN_FRONTEND = "noninteractive", ANSWER = 42 }
    env_var_format      = "%s='%s' "
    use_env_var_file    = true
    execute_command     = "chmod +x {{.Path}}; {{.Vars}} {{ .Path }}"
    inline_shebang      = "/bin/bash -e"
    remote_folder       = "/tmp"
    remote_file         = "x.sh"
    remote_path         = "/tmp/x.sh"
    skip_clean          = true
    valid_exit_codes    = [0, 2]
    start_retry_timeout = "5m"
    expect_disconnect   = true
    pause_before        = "10s"
    pause_after         = "1m30s"
    max_retries         = 3
    timeout             = "1h"
  }
}
