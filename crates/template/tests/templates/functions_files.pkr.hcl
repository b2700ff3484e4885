locals {

  abspath      = abspath("../a/./b")
  basename     = basename("/a/b.txt")
  dirname      = [dirname("/a/b.txt"), dirname("b.txt")]
  file         = file("motd.txt")
  filebase64   = filebase64("motd.txt")
  fileexists   = [fileexists("motd.txt"), fileexists("nothing")]
  fileset      = fileset(".", "*.tftpl")
  pathexpand   = [pathexpand("~/x"), pathexpand("/x")]
  root         = path.root
  cwd          = path.cwd
  templatefile = templatefile("hosts.tftpl", { hosts = { pi = "10.0.0.1", bone = "10.0.0.2" }, ipv6 = false })
  version      = packer.version
  basenames    = [basename("/"), basename(""), basename("a/b/"), basename("a")]
  dirnames     = [dirname("a/b/"), dirname("/a"), dirname("/"), dirname(""), dirname("a/../b/c"), dirname("a//b")]
}
