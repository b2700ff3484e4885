//! Whatever is in a template, it is read, or refused, and in bounded time.

use arm_image_template::{Inputs, NoFiles, Text, parse};
use proptest::prelude::*;

fn read(name: &str, text: &str) {
    let mut inputs = Inputs::new(vec![Text::new(name, text)], &NoFiles);
    inputs.variables = vec![("a".to_owned(), text.to_owned())];
    inputs.variable_files = vec![Text::new("x.pkrvars.hcl", text), Text::new("x.json", text)];
    inputs.environment.insert("PKR_VAR_b".to_owned(), text.to_owned());
    if let Ok(template) = parse(&inputs) {
        let _ = template.select(&[text.to_owned()], &[]);
        assert_eq!(template.redact(""), "");
    }
}

/// Pieces that make templates, right ones and wrong ones.
fn fragment() -> impl Strategy<Value = String> {
    let pieces: Vec<&'static str> = vec![
        "variable \"a\" {",
        "variable \"b\" { type = list(string) }",
        "default = ",
        "sensitive = true",
        "locals {",
        "build {",
        "source \"arm-image\" \"x\" {",
        "provisioner \"shell\" {",
        "sources = [\"arm-image.x\"]",
        "}",
        "\n",
        "x = ",
        "y = ",
        "iso_url = ",
        "inline = ",
        "[",
        "]",
        "{",
        "(",
        ")",
        "\"",
        "${",
        "%{ for z in range(9) }",
        "%{ endfor }",
        "%{ if true }",
        "%{ else ~}",
        "%{ endif }",
        "<<-EOT\n",
        "EOT\n",
        "local.x",
        "local.y",
        "var.a",
        "build.MountPath",
        "source.name",
        "null",
        "true",
        "1e308",
        "-",
        "*",
        "/",
        "%",
        " == ",
        "&&",
        "?",
        ":",
        ",",
        "...",
        ".*",
        "[*]",
        "[for a in ",
        " : a]",
        "range(1024)",
        "format(\"%5.3f\", 1)",
        "regex(\"a*\", \"aaa\")",
        "substr(\"äöü\", -1, 9)",
        "{{ user `a` }}",
        "{{ isotime",
        "}}",
        "{{.Path}}",
        "replace(",
        "setproduct(",
        "try(",
        "cidrsubnet(\"::/0\", 128, 1)",
        "formatdate(\"'\", timestamp())",
        "yamldecode(\"&a [*a]\")",
        "\"variables\": {",
        "\"builders\": [",
        "\"type\": \"arm-image\"",
        "\"provisioners\"",
        "\\u0000",
        "\u{fdd0}",
        "é",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

/// An expression that the grammar takes, of any depth.
fn expression() -> impl Strategy<Value = String> {
    let leaves: Vec<&'static str> = vec![
        "1",
        "-0.5",
        "\"x\"",
        "true",
        "null",
        "local.a",
        "var.b",
        "[]",
        "{}",
        "range(1000)",
        "\"%d\"",
        "\"%.3g|%+08.2g\"",
        "1e-300",
        "\"(a)\"",
        "1e300",
    ];
    prop::sample::select(leaves).prop_map(str::to_owned).prop_recursive(6, 64, 4, |inner| {
        let names: Vec<&'static str> = vec![
            "upper",
            "format",
            "join",
            "flatten",
            "range",
            "substr",
            "regexall",
            "regex_replace",
            "setproduct",
            "cidrhost",
            "indent",
            "formatdate",
            "timeadd",
            "chunklist",
            "element",
            "slice",
            "lookup",
            "merge",
            "yamlencode",
            "yamldecode",
            "csvdecode",
            "jsonencode",
            "jsondecode",
            "pow",
            "parseint",
            "log",
            "title",
            "trim",
            "replace",
            "split",
            "zipmap",
            "legacy_strftime",
            "legacy_isotime",
            "uuidv5",
            "textdecodebase64",
            "base64decode",
            "try",
            "can",
            "sum",
            "sort",
            "index",
            "cidrsubnets",
            "cidrsubnet",
            "cidrnetmask",
            "urlencode",
            "formatlist",
            "distinct",
            "strrev",
            "concat",
            "coalesce",
            "compact",
            "reverse",
            "rsadecrypt",
            "basename",
            "dirname",
            "length",
        ];
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} + {b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} == {b} ? {b} : {c})")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("[for k, v in {a} : [k, v, {b}] if k != v]")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("{{ for v in {a} : \"${{v}}\" => {b}... }}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            inner.clone().prop_map(|a| format!("\"a${{{a}}}b\"")),
            inner.clone().prop_map(|a| format!("{a}[*]")),
            (prop::sample::select(names), prop::collection::vec(inner, 0..4))
                .prop_map(|(name, arguments)| format!("{name}({})", arguments.join(", "))),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*", fragments in fragment()) {
        for text in [&text, &fragments] {
            read("x.pkr.hcl", text);
            read("x.json", text);
        }
    }

    #[test]
    fn no_json_panics(key in "[a-z-]{0,12}", text in "\\PC{0,40}", fragments in fragment()) {
        let quoted = serde_json::to_string(&text).expect("a string");
        let fragments = serde_json::to_string(&fragments).expect("a string");
        read("x.json", &format!(
            "{{\"variables\":{{\"a\":{quoted}}},\"builders\":[{{\"type\":\"arm-image\",\"iso_url\":{fragments},\"{key}\":{quoted}}}],\
             \"provisioners\":[{{\"type\":\"shell\",\"inline\":[{quoted},{fragments}]}}]}}"
        ));
    }

    #[test]
    fn no_expression_panics(expressions in prop::collection::vec(expression(), 1..6)) {
        let locals: String = expressions.iter().enumerate().map(|(index, text)| {
            format!("{} = {text}\n", (b'a' + u8::try_from(index).unwrap_or(0)) as char)
        }).collect();
        read("x.pkr.hcl", &format!("variable \"b\" {{ default = [1] }}\nlocals {{\n{locals}}}\n"));
    }

    #[test]
    fn nothing_sensitive_shows(secret in "[a-zA-Z0-9]{8,20}", expression in expression()) {
        let text = format!(
            "variable \"b\" {{\n default = \"{secret}\"\n sensitive = true\n}}\nlocals {{\n a = {expression}\n c = \"${{var.b}}{secret}\" + 1\n d = upper(var.b)[0]\n}}\n"
        );
        match parse(&Inputs::new(vec![Text::new("x.pkr.hcl", text)], &NoFiles)) {
            Ok(template) => {
                let shown = format!("{template:?} {:?} {:?}", template.variables, template.locals);
                prop_assert!(!shown.contains(&secret));
            }
            Err(error) => {
                let shown = format!("{error:?} {error}");
                prop_assert!(!shown.contains(&secret), "{}", shown);
            }
        }
    }
}
