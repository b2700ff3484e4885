//! Real ARM images to test with: Debian for ARM, from its package mirror, laid out like the images users have.
//!
//! Each is made once into a cache, without privilege, and never changed by a test, which works on a copy:
//!
//! ```no_run
//! let image = arm_image_tests::images::raspios_arm64_tiny();
//! assert!(image.with_extension("img.xz").exists());
//! ```
//!
//! The tiny ones hold a static busybox in the place of Debian and need no emulator to be made. The full ones hold an apt
//! that works; installing Debian into them runs ARM code, which arm-image itself does.

mod boards;
mod busybox;
mod debian;
mod error;
mod ext4;
mod fat;
mod kind;
mod layout;
mod packages;
mod tool;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub use self::error::Error;
use self::kind::Arch;
pub use self::kind::Kind;
use self::tool::{at, file, folder, run, tool};

const SUITE: &str = "bookworm";

/// Part of every cached image's path: to be raised when what an image holds changes.
const RECIPE: &str = "images-1";

/// Makes images into a cache folder.
pub struct Maker<'a> {
    cache: PathBuf,
    mirror: String,
    program: Option<PathBuf>,
    progress: &'a dyn Fn(&str),
}

impl std::fmt::Debug for Maker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Maker")
            .field("cache", &self.cache)
            .field("mirror", &self.mirror)
            .finish_non_exhaustive()
    }
}

impl<'a> Maker<'a> {
    /// A maker with the cache folder `cache`, which is made when missing; `progress` is told each step.
    pub fn new(cache: &Path, progress: &'a dyn Fn(&str)) -> Result<Self, Error> {
        at("create", cache, fs::create_dir_all(cache))?;
        // Tools run in other folders than ours.
        let cache = at("resolve", cache, fs::canonicalize(cache))?;
        Ok(Self { cache, mirror: "http://deb.debian.org/debian".to_owned(), program: None, progress })
    }

    /// Takes Debian's packages from another mirror.
    pub fn with_mirror(self, mirror: impl Into<String>) -> Self {
        Self { mirror: mirror.into(), ..self }
    }

    /// Uses this arm-image for the ARM half of full images.
    pub fn with_program(self, program: impl Into<PathBuf>) -> Self {
        Self { program: Some(program.into()), ..self }
    }

    /// Makes the image unless the cache has it, and returns the path of the raw one. Beside it lie the same as `.img.xz`
    /// and their `SHA256SUMS`. All are read-only.
    ///
    /// Several processes may ask at once: one makes it, the others wait.
    ///
    /// # Errors
    /// When a tool is missing or fails, the mirror cannot be reached, or a full image is asked for without a program.
    pub fn make(&self, kind: Kind) -> Result<PathBuf, Error> {
        let name = kind.name();
        let image = format!("{name}.img");
        let made = self.once(&format!("{RECIPE}/{name}"), |partial| {
            let root = self.root(kind)?;
            let work = partial.join("work");
            folder(&work, 0o755)?;
            let own_root = work.join("root.ext4");
            run(tool("cp").args(["--sparse=always", "--reflink=auto"]).arg(&root).arg(&own_root))?;
            self.say(&format!("laying out {name}"));
            let raw = work.join(&image);
            match kind {
                Kind::GptArm64 | Kind::GptArm64Tiny => layout::radxa(kind, &own_root, &raw)?,
                Kind::UbuntuArm64Tiny => boards::ubuntu(self, kind, &own_root, &raw)?,
                Kind::BeagleboneArmhfTiny => boards::beaglebone(kind, &own_root, &raw)?,
                Kind::ArmbianArm64 => boards::armbian(self, kind, &own_root, &raw)?,
                _ => layout::raspios(self, kind, &own_root, &raw)?,
            }
            at("rename", &raw, fs::rename(&raw, partial.join(&image)))?;
            at("remove", &work, fs::remove_dir_all(&work))?;
            self.publish(partial, &image)
        })?;
        Ok(made.join(image))
    }

    /// The root for images of this kind, an ext4 file system of its own that all layouts start from.
    fn root(&self, kind: Kind) -> Result<PathBuf, Error> {
        let flavour = match () {
            () if kind.has_python() => "-python",
            () if kind.is_tiny() => "-tiny",
            () => "",
        };
        let name = format!("{RECIPE}/root-{}{flavour}", kind.arch().debian());
        let made = self.once(&name, |partial| {
            let root = partial.join("root.ext4");
            if kind.is_tiny() {
                busybox::make(self, kind, &root)?;
            } else {
                let program = self.program.as_deref().ok_or(Error::Program { kind: kind.name() })?;
                debian::make(self, kind.arch(), kind.root_uuid(), program, &root)?;
            }
            keep_only(partial, "root.ext4")
        })?;
        Ok(made.join("root.ext4"))
    }

    /// Compresses as Raspberry Pi OS is, in blocks of 24 MiB, and writes the list of checksums.
    fn publish(&self, folder: &Path, image: &str) -> Result<(), Error> {
        self.say(&format!("compressing {image}"));
        // An older xz with one thread would make one block; the size is what `xz -T0` takes with more.
        run(tool("xz").args(["-T0", "-6", "--block-size=24MiB", "--keep", image]).current_dir(folder))?;
        let compressed = format!("{image}.xz");
        let sums = run(tool("sha256sum").args([compressed.as_str(), image]).current_dir(folder))?;
        for (name, content) in [(image, None), (&compressed, None), ("SHA256SUMS", Some(sums))] {
            let path = folder.join(name);
            if let Some(content) = content {
                file(&path, 0o644, content)?;
            }
            at("set the mode of", &path, fs::set_permissions(&path, PermissionsExt::from_mode(0o444)))?;
        }
        Ok(())
    }

    /// The folder `name` in the cache, made by `make` under another name if it is not there.
    fn once(&self, name: &str, make: impl FnOnce(&Path) -> Result<(), Error>) -> Result<PathBuf, Error> {
        let done = self.cache.join(name);
        let beside = |suffix: &str| self.cache.join(format!("{name}.{suffix}"));
        let (lock_path, partial) = (beside("lock"), beside("partial"));
        if done.exists() {
            return Ok(done);
        }
        if let Some(parent) = done.parent() {
            folder(parent, 0o755)?;
        }
        // The kernel gives the lock back however its holder ends.
        let lock = at("create", &lock_path, File::create(&lock_path))?;
        at("lock", &lock_path, lock.lock())?;
        if done.exists() {
            return Ok(done);
        }
        // What a killed maker left: nobody else can be in it now.
        if partial.exists() {
            at("remove", &partial, fs::remove_dir_all(&partial))?;
        }
        folder(&partial, 0o755)?;
        make(&partial)?;
        at("rename", &partial, fs::rename(&partial, &done))?;
        Ok(done)
    }

    fn cache(&self) -> &Path {
        &self.cache
    }

    fn mirror(&self) -> &str {
        &self.mirror
    }

    fn say(&self, step: &str) {
        (self.progress)(step);
    }
}

/// Removes everything from `folder` but the file `kept`.
fn keep_only(folder: &Path, kept: &str) -> Result<(), Error> {
    for entry in at("list", folder, fs::read_dir(folder))? {
        let entry = at("list", folder, entry)?;
        let path = entry.path();
        if path.is_dir() {
            at("remove", &path, fs::remove_dir_all(&path))?;
        } else if entry.file_name() != kept {
            at("remove", &path, fs::remove_file(&path))?;
        }
    }
    Ok(())
}

/// Names the folder where tests keep their images.
pub(crate) const CACHE: &str = "ARM_IMAGE_TEST_CACHE";

/// Where tests keep their images: `$ARM_IMAGE_TEST_CACHE`, or `target/test-images` of this checkout.
pub fn default_cache() -> PathBuf {
    match std::env::var_os(CACHE) {
        Some(cache) => cache.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-images"),
    }
}

/// The image for a test: from the default cache and, unless `$ARM_IMAGE_TEST_MIRROR` says otherwise, Debian's mirror.
fn for_test(kind: Kind, program: Option<&Path>) -> PathBuf {
    made(&format!("test image `{}`", kind.name()), program, |maker| maker.make(kind))
}

/// What a test needs of a maker with the surroundings of tests; panics if it cannot be had.
fn made(
    what: &str,
    program: Option<&Path>,
    make: impl FnOnce(&Maker<'_>) -> Result<PathBuf, Error>,
) -> PathBuf {
    let made = || {
        let mut maker = Maker::new(&default_cache(), &|_| ())?;
        if let Ok(mirror) = std::env::var("ARM_IMAGE_TEST_MIRROR") {
            maker = maker.with_mirror(mirror);
        }
        if let Some(program) = program {
            maker = maker.with_program(program);
        }
        make(&maker)
    };
    made().unwrap_or_else(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        panic!("no {what}: {error}{cause} {}", error.hint().unwrap_or_default())
    })
}

/// [`Kind::RaspiosArm64`] from the default cache, made with the arm-image at `program`; panics if it cannot be had.
pub fn raspios_arm64(program: &Path) -> PathBuf {
    for_test(Kind::RaspiosArm64, Some(program))
}

/// [`Kind::RaspiosArmhf`] from the default cache, made with the arm-image at `program`; panics if it cannot be had.
pub fn raspios_armhf(program: &Path) -> PathBuf {
    for_test(Kind::RaspiosArmhf, Some(program))
}

/// [`Kind::GptArm64`] from the default cache, made with the arm-image at `program`; panics if it cannot be had.
pub fn gpt_arm64(program: &Path) -> PathBuf {
    for_test(Kind::GptArm64, Some(program))
}

/// [`Kind::RaspiosArm64Tiny`] from the default cache; panics if it cannot be had.
pub fn raspios_arm64_tiny() -> PathBuf {
    for_test(Kind::RaspiosArm64Tiny, None)
}

/// [`Kind::RaspiosArmhfTiny`] from the default cache; panics if it cannot be had.
pub fn raspios_armhf_tiny() -> PathBuf {
    for_test(Kind::RaspiosArmhfTiny, None)
}

/// [`Kind::GptArm64Tiny`] from the default cache; panics if it cannot be had.
pub fn gpt_arm64_tiny() -> PathBuf {
    for_test(Kind::GptArm64Tiny, None)
}

/// [`Kind::RaspiosArm64Python`] from the default cache; panics if it cannot be had.
pub fn raspios_arm64_python() -> PathBuf {
    for_test(Kind::RaspiosArm64Python, None)
}

/// [`Kind::UbuntuArm64Tiny`] from the default cache; panics if it cannot be had.
pub fn ubuntu_arm64_tiny() -> PathBuf {
    for_test(Kind::UbuntuArm64Tiny, None)
}

/// [`Kind::BeagleboneArmhfTiny`] from the default cache; panics if it cannot be had.
pub fn beaglebone_armhf_tiny() -> PathBuf {
    for_test(Kind::BeagleboneArmhfTiny, None)
}

/// [`Kind::ArmbianArm64`] from the default cache, made with the arm-image at `program`; panics if it cannot be had.
pub fn armbian_arm64(program: &Path) -> PathBuf {
    for_test(Kind::ArmbianArm64, Some(program))
}

/// The folder with Debian's C library for armhf and its loader, from the default cache; panics if it cannot be had.
pub fn c_library_armhf() -> PathBuf {
    made("C library", None, |maker| packages::c_library(maker, Arch::Armhf))
}

#[cfg(test)]
mod tests;
