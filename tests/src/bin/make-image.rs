//! Makes a real ARM image to test or to try arm-image with.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arm_image_tests::images::{Error, Kind, Maker, default_cache};
use clap::Parser;

/// Make a real ARM image: Debian for ARM, laid out like the images users have
///
/// Prints the path of the .img.xz; the raw .img and SHA256SUMS lie beside it.
/// What was made or downloaded before is used again.
#[derive(Debug, Parser)]
#[command(
    name = "make-image",
    max_term_width = 80,
    after_help = "Example:\n  make-image raspios-arm64 --output ~/images"
)]
struct Arguments {
    /// Which image
    #[arg(value_enum)]
    kind: Kind,
    /// Where images and downloads are kept [default: $ARM_IMAGE_TEST_CACHE or target/test-images of the checkout]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// The program that runs the ARM half of full images [default: beside this program, or of the other profile]
    #[arg(long, value_name = "PATH")]
    arm_image: Option<PathBuf>,
    /// Where Debian's packages come from
    #[arg(
        long,
        value_name = "URL",
        env = "ARM_IMAGE_TEST_MIRROR",
        default_value = "http://deb.debian.org/debian"
    )]
    mirror: String,
}

fn main() -> ExitCode {
    match make(Arguments::parse()) {
        Ok(path) => match writeln!(std::io::stdout(), "{}", path.display()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            say(&format!("error: {error}"));
            if let Some(cause) = std::error::Error::source(&error) {
                say(&format!("caused by: {cause}"));
            }
            if let Some(hint) = error.hint() {
                say(&format!("hint: {hint}"));
            }
            ExitCode::FAILURE
        }
    }
}

fn make(arguments: Arguments) -> Result<PathBuf, Error> {
    let cache = arguments.output.unwrap_or_else(default_cache);
    let mut maker = Maker::new(&cache, &say)?.with_mirror(arguments.mirror);
    if let Some(program) = arguments.arm_image.or_else(arm_image_nearby) {
        maker = maker.with_program(program);
    }
    Ok(maker.make(arguments.kind)?.with_extension("img.xz"))
}

/// The arm-image built with this program, or the other profile's.
fn arm_image_nearby() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let folder = own.parent()?;
    let target = folder.parent()?;
    let candidates = [folder, &target.join("release"), &target.join("debug")]
        .map(|folder: &Path| folder.join("arm-image"));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

/// Progress is for whoever watches; that nobody does is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
