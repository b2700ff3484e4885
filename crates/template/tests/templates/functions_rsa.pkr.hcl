locals {
  text     = "dyT/5iAn+Vb2tbZumUF32+pbjAr+k07bdxsi8mbkFKJFqB2PwtiCs5NphicP1HhC8AF4daT1MFl9qK3F+2TpUhdSqN47pBwd2Kj1euKTDIKDLJkw3Z2dGRPAUo5G9OsNVNe3wJrmUoFqQ0PgzqlkFJXpMAqtJ6nHn4PqVHmTOnc="
  pkcs1    = rsadecrypt(local.text, file("rsa.pem"))
  pkcs8    = rsadecrypt(local.text, file("rsa8.pem"))
}
