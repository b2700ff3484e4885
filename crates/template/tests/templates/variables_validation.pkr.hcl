variable "arch" {
  type    = string
  default = "arm46"
  validation {
    condition     = contains(["arm", "arm64"], var.arch)
    error_message = "The architecture has to be arm or arm64."
  }
  validation {
    condition     = length(var.arch) > 2
    error_message = "Too short."
  }
}
