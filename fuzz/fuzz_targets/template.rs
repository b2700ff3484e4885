//! Templates in both syntaxes, files of variables and files that functions read: no panic, no hang, no deep stack.

#![no_main]

use std::io;
use std::path::Path;

use arm_image_template::{Files, Inputs, Text, parse};
use libfuzzer_sys::fuzz_target;

/// A folder with two files, whatever they are called.
#[derive(Debug)]
struct Folder<'a>(&'a str);

impl Files for Folder<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.extension() {
            Some(_) => Ok(self.0.as_bytes().to_vec()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        path.extension().is_some()
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(vec!["a.txt".to_owned(), "b/c.tftpl".to_owned()])
    }
}

fuzz_target!(|text: &str| {
    let (template, more) = text.split_once('\u{0}').unwrap_or((text, ""));
    let (variables, file) = more.split_once('\u{0}').unwrap_or((more, more));
    let folder = Folder(file);
    for name in ["x.pkr.hcl", "x.json"] {
        for incomplete in [false, true] {
            let mut inputs = Inputs::new(vec![Text::new(name, template)], &folder);
            inputs.variable_files.push(Text::new("x.pkrvars.hcl", variables));
            inputs.variable_files.push(Text::new("x.pkrvars.json", variables));
            inputs.variables.push(("a".to_owned(), variables.to_owned()));
            inputs.environment.insert("PKR_VAR_b".to_owned(), file.to_owned());
            inputs.incomplete = incomplete;
            if let Ok(template) = parse(&inputs) {
                let _ = template.select(&[variables.to_owned()], &[file.to_owned()]);
                let _ = template.redact_part(text, true, true);
            }
        }
    }
});
