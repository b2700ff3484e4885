variable "wifi_password" {
  type      = string
  sensitive = true
}
