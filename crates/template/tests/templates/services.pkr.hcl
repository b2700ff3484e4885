locals {
  a = vault("secret/a", "b")
  b = consul_key("a")
  c = aws_secretsmanager("a", "b")
}

data "null" "x" {
  input = "y"
}
