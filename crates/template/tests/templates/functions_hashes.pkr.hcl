locals {

  md5      = md5("hello")
  sha1     = sha1("hello")
  sha256   = sha256("hello")
  sha512   = substr(sha512("hello"), 0, 32)
  uuidv5   = uuidv5("dns", "www.example.com")
  uuidv4   = length(uuidv4()) == 36 && uuidv4() != uuidv4()
  bcrypt   = startswith(bcrypt("secret", 4), "$2a$04$")
}
