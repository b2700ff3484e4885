locals {
  text     = "dyT/5iAn+Vb2tbZumUF32+pbjAr+k07bdxsi8mbkFKJFqB2PwtiCs5NphicP1HhC8AF4daT1MFl9qK3F+2TpUhdSqN47pBwd2Kj1euKTDIKDLJkw3Z2dGRPAUo5G9OsNVNe3wJrmUoFqQ0PgzqlkFJXpMAqtJ6nHn4PqVHmTOnc="
  another  = rsadecrypt(local.text, file("rsa_other.pem"))
  uneven   = rsadecrypt(local.text, file("rsa_uneven.pem"))
  no_key   = rsadecrypt(local.text, "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----")
  no_text  = rsadecrypt("***", file("rsa.pem"))
}
