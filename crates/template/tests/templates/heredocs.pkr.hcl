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
  strip  = "a  ${~ "b" ~}  c"
}
