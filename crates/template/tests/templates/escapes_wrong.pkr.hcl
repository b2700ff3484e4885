locals {
  unknown   = "%{ if true }a\qb%{ endif }"
  short     = "%{ if true }\u12%{ endif }"
  surrogate = "%{ if true }\ud800%{ endif }"
  forged    = "\ufdd0MountPath\ufdd1"
  mixed     = "${1}\ufdd0MountPath\ufdd1"
  nested    = "%{ if true }\ufdd0%{ endif }"
  end       = "%{ if true }a\\%{ endif }"
}
