locals {

  plain = <<EOT
  two spaces
line
EOT
  flush = <<-EOT
    first
      second ${1 + 1}
    third
  EOT
  directives = <<-EOT
    %{ for name in ["a", "b"] ~}
    name=${name}
    %{ endfor ~}
    %{ if true ~}
    yes
    %{ else ~}
    no
    %{ endif ~}
    end
  EOT
  quoted = "%{ for n in range(3) }${n},%{ endfor }%{ if false }x%{ endif }"
  escapes = "%{ if true }a\tb\n\"c\" \\ \u00e9 $${d}%{ else }\q%{ endif }\n"
  lines   = "%{ for name in ["a", "b"] ~}  \n\n  - ${name}\n%{ endfor ~}  \n x"
  around  = "a \n\n ${~ "b" ~} \n\n c"
  strip  = "a  ${~ "b" ~}  c"
}
