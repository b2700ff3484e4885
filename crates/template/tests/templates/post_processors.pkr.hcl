source "arm-image" "pi" {
  iso_url      = "https://example.org/raspios.img.xz"
  iso_checksum = "none"
}

build {
  sources = ["source.arm-image.pi"]

  post-processor "checksum" {
    checksum_types = ["sha256", "sha512"]
    output         = "{{.BuildName}}.{{.ChecksumType}}"
  }
  post-processors {
    post-processor "compress" {
      name                = "pack"
      output              = "image.xz"
      compression_level   = 6
      keep_input_artifact = true
    }
    post-processor "manifest" {
      output      = "manifest.json"
      strip_path  = true
      custom_data = { commit = "abc" }
    }
  }
  post-processor "shell-local" {
    inline = ["ls -l"]
  }
  error-cleanup-provisioner "shell-local" {
    inline = ["echo failed"]
  }
}
