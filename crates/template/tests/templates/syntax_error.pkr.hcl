variable "a" {
  default = "unclosed
}
