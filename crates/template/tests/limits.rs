//! Templates made to take long do not: each of these ends by the limits, not by a clock.

use arm_image_template::{Error, Inputs, NoFiles, Template, Text, parse};

fn read(name: &str, text: String) -> Result<Template, Error> {
    parse(&Inputs::new(vec![Text::new(name, text)], &NoFiles))
}

fn repeated(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

#[test]
fn locals_in_the_worst_order_end() {
    let locals = repeated(20_000, |index| format!("l{index} = local.l{}\n", index + 1));
    read("x.pkr.hcl", format!("locals {{\n{locals}}}\n")).expect_err("20,000 rounds");
    let locals = repeated(300, |index| format!("l{index} = local.l{}\n", index + 1));
    let template = read("x.pkr.hcl", format!("locals {{\n{locals}\nl300 = 1\n}}\n")).expect("300 rounds");
    assert_eq!(template.locals.len(), 301);
}

#[test]
fn a_circle_of_many_locals_is_refused() {
    let locals = repeated(1500, |index| format!("l{index} = local.l{}\n", (index + 1) % 1500));
    read("x.pkr.hcl", format!("locals {{\n{locals}}}\n")).expect_err("a circle");
}

#[test]
fn many_unknown_sources_end() {
    let names = repeated(30_000, |index| format!("\"arm-image.unknown{index}\", "));
    read("x.pkr.hcl", format!("build {{\n sources = [{names}]\n}}\n")).expect_err("unknown sources");
}

#[test]
fn many_unknown_keys_end() {
    let keys = repeated(30_000, |index| format!("iso_urx{index} = 1\n"));
    read("x.pkr.hcl", format!("source \"arm-image\" \"x\" {{\n{keys}}}\n")).expect_err("unknown keys");
}

#[test]
fn many_unknown_blocks_end() {
    let blocks = repeated(30_000, |index| format!("biuld{index} {{}}\n"));
    read("x.pkr.hcl", blocks).expect_err("unknown blocks");
}

#[test]
fn many_suggestions_that_nobody_sees_end() {
    let tries = repeated(20_000, |index| format!("l{index} = try(loca{index}, 1)\n"));
    read("x.pkr.hcl", format!("locals {{\n{tries}}}\n")).expect_err("20,000 suggestions");
}

#[test]
fn many_sources_with_the_same_mistakes_end() {
    let sources = repeated(5000, |index| format!("source \"arm-image\" \"s{index}\" {{}}\n"));
    let names = repeated(5000, |index| format!("\"arm-image.s{index}\", "));
    let steps = repeated(200, |index| format!("provisioner \"shell\" {{\n inlin{index} = 1\n}}\n"));
    read("x.pkr.hcl", format!("{sources}build {{\n sources = [{names}]\n{steps}}}\n")).expect_err("mistakes");
}

#[test]
fn json_in_the_worst_order_ends() {
    let variables = repeated(10_000, |index| format!("\"v{index}\": \"{{{{ user `v{}` }}}}\",", index + 1));
    read("x.json", format!("{{\"variables\": {{ {variables} \"last\": \"\" }} }}"))
        .expect_err("10,000 rounds");
    let names = repeated(50_000, |index| format!("\"v{index}\", "));
    read("x.json", format!("{{\"sensitive-variables\": [{names} \"x\"]}}")).expect_err("unknown variables");
    let builders = repeated(5000, |index| format!("{{\"type\": \"arm-image\", \"name\": \"b{index}\"}},"));
    read("x.json", format!("{{\"builders\": [{builders} null]}}")).expect_err("builders without images");
}

#[test]
fn a_message_as_long_as_the_file_is_not_shown() {
    let name = "x".repeat(100_000);
    let error = read("x.pkr.hcl", format!("{name} {{}}\n")).expect_err("no such block");
    assert!(error.problems().iter().all(|problem| problem.to_string().len() < 5000), "{error}");
}

#[test]
fn too_large_files_are_refused() {
    for name in ["x.pkr.hcl", "x.json"] {
        let error = read(name, " ".repeat((1 << 20) + 1)).expect_err("too large");
        assert!(error.to_string().contains("larger"), "{error}");
    }
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow() {
    let opening: Vec<&str> = vec![
        "[",
        "{a=",
        "(",
        "!",
        "-",
        "f(",
        "[for a in [1] : ",
        "\"${",
        "a ? b : ",
        "1 + ",
        "a[",
        "%{if true}",
    ];
    for open in opening {
        for count in [10, 1000, 50_000] {
            let _ = read("x.pkr.hcl", format!("locals {{\nx = {}\n}}\n", open.repeat(count)));
            let _ = read("x.json", format!("{{\"variables\": {{\"a\": {} }} }}", open.repeat(count)));
            let _ = read("x.pkr.hcl", "b {\n".repeat(count));
        }
    }
    for function in ["jsondecode", "yamldecode"] {
        for count in [50, 100, 1000, 100_000] {
            let text =
                format!("locals {{\nx = {function}(\"{}{}\")\n}}\n", "[".repeat(count), "]".repeat(count));
            assert_eq!(read("x.pkr.hcl", text).is_ok(), count == 50, "{function} {count}");
        }
    }
    let operators = format!("locals {{\nx = {}1{}\n}}\n", "(1 + -".repeat(60), ")".repeat(60));
    read("x.pkr.hcl", operators).expect_err("more than 64 levels");
    let operators = format!("locals {{\nx = {}1{}\n}}\n", "(1 + ".repeat(60), ")".repeat(60));
    read("x.pkr.hcl", operators).expect("60 levels");
}
