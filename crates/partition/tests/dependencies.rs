//! The crate alone is small to take and to use.

use std::path::Path;
use std::process::Command;

#[test]
fn no_dependency_needs_a_c_compiler_or_libclang() {
    let tree = ["tree", "--frozen", "--package", "arm-image-partition", "--edges", "normal,build"];
    let output = Command::new(env!("CARGO"))
        .args(tree)
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("failed to run cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("a tree outside of UTF-8");
    let names: Vec<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"arm-image-partition"), "{names:?}");
    for name in ["cc", "cmake", "bindgen", "clang-sys", "pkg-config"] {
        assert!(!names.contains(&name), "{name} in {names:?}");
    }
}

#[test]
fn an_image_is_resized_in_less_than_ten_lines() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/resize-only/src/main.rs");
    let source = std::fs::read_to_string(example).expect("failed to read the example");
    let main = source.lines().skip_while(|line| !line.starts_with("fn main"));
    let lines = main.take_while(|line| *line != "}").count() + 1;
    assert!((3..10).contains(&lines), "{lines} lines");
}
