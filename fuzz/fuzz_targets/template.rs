//! Templates in both syntaxes, and files of variables: no panic, no hang, no deep stack.

#![no_main]

use arm_image_template::{Inputs, NoFiles, Text, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (template, variables) = text.split_once('\u{0}').unwrap_or((text, ""));
    for name in ["x.pkr.hcl", "x.json"] {
        let mut inputs = Inputs::new(vec![Text::new(name, template)], &NoFiles);
        inputs.variable_files.push(Text::new("x.pkrvars.hcl", variables));
        inputs.variables.push(("a".to_owned(), variables.to_owned()));
        if let Ok(template) = parse(&inputs) {
            let _ = template.select(&[variables.to_owned()], &[]);
        }
    }
});
