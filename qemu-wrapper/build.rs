//! Makes the wrapper, a program of its own: without the standard library, so not one that Cargo could make in a
//! workspace whose panics unwind.

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=program");
    let output = Path::new(&env::var_os("OUT_DIR").ok_or("no OUT_DIR")?).join("qemu-wrapper");
    let is = |name, values: &[&str]| env::var(name).is_ok_and(|value| values.contains(&value.as_str()));
    if !is("CARGO_CFG_TARGET_OS", &["linux"]) || !is("CARGO_CFG_TARGET_ARCH", &["x86_64", "aarch64"]) {
        // Nobody has written the few instructions that it begins with: `wrap` says so.
        return Ok(std::fs::write(output, b"")?);
    }
    let folder =
        Path::new(&env::var_os("CARGO_MANIFEST_DIR").ok_or("no CARGO_MANIFEST_DIR")?).join("program");
    let (target, host) = (env::var("TARGET")?, env::var("HOST")?);
    let mut rustc = Command::new(env::var_os("RUSTC").ok_or("no RUSTC")?);
    rustc.arg(folder.join("main.rs")).arg("-o").arg(&output).args(["--crate-name", "qemu_wrapper"]);
    rustc.args(["--crate-type", "bin", "--edition", "2024", "--target", &target]);
    rustc.args(["-C", "panic=abort", "-C", "opt-level=s", "-C", "codegen-units=1", "-C", "strip=symbols"]);
    rustc.args(["-C", "relocation-model=pie", "-C", "target-feature=+crt-static"]);
    if is("CARGO_CFG_TARGET_ENV", &["musl"]) {
        // Else Rust's own copy of its start-up code comes along.
        rustc.args(["-C", "link-self-contained=no"]);
    }
    let script = format!("-T{}", folder.join("image.ld").display());
    let mut link = |argument: &str| {
        rustc.arg("-C").arg(format!("link-arg={argument}"));
    };
    let linker = env::var("RUSTC_LINKER").ok();
    if linker.as_deref().map_or(target != host, is_bare) {
        [script.as_str(), "--build-id=none"].into_iter().for_each(&mut link);
    } else {
        ["-nostartfiles", "-nostdlib", "-Wl,--build-id=none", &format!("-Wl,{script}")]
            .into_iter()
            .for_each(&mut link);
    }
    if let Some(linker) = linker {
        rustc.arg("-C").arg(format!("linker={linker}"));
    } else if target != host {
        // What links programs of this machine cannot, but the linker that comes with Rust links for all.
        rustc.args(["-C", "linker-flavor=ld.lld", "-C", "linker=rust-lld"]);
    }
    match rustc.status()? {
        status if status.success() => Ok(()),
        status => Err(format!("{rustc:?} failed: {status}").into()),
    }
}

/// Whether this is a linker itself, and not a compiler that calls one: told by its name, as rustc does.
fn is_bare(linker: &str) -> bool {
    let name = Path::new(linker).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name == "ld" || name.starts_with("ld.") || name.ends_with("-ld") || name.ends_with("lld")
}
