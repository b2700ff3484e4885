locals {

  base64      = [base64encode("hällo"), base64decode("aMOkbGxv")]
  utf16       = textencodebase64("hi", "UTF-16LE")
  utf16_back  = textdecodebase64("aABpAA==", "UTF-16LE")
  csv         = csvdecode("name,size\nboot,256\n\"ro\"\"ot\",\"1,5\"\n")
  json        = jsonencode({ a = [1, true, null], b = "<x>" })
  json_back   = jsondecode("{\"a\": [1, 2.5, \"x\"]}")
  url         = urlencode("a b&c/ü")
  yaml        = yamlencode({ a = [1, { b = "x" }], c = { d = null }, e = [] })
  yaml_back   = yamldecode("a:\n  - 1\n  - b: yes\nc: text\n")
}
