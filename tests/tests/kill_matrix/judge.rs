//! What is looked at before and after each run.

use std::path::{Path, PathBuf};

use arm_image_tests::program::image::assert_sound;
use arm_image_tests::program::kernel::{Kernel, mount_binfmt};
use arm_image_tests::program::{Ended, Place, names_in, sha256, wait_for};
use arm_image_tests::{images, in_guest};
use nix::sys::signal::Signal;

/// Runs `body` in a guest with a real image, which is made before, as there is no network inside.
pub(crate) fn with_image(name: &str, body: impl FnOnce(&Path)) {
    let image = images::raspios_arm64_tiny();
    in_guest(name, || {
        mount_binfmt();
        body(&image);
    });
}

/// A place to build `o.img` in, and what the kernel and the source were like before.
pub(crate) struct Judge {
    pub(crate) place: Place,
    source: PathBuf,
    digest: String,
    before: Kernel,
    /// The names that are in the place's folder anyway.
    materials: Vec<String>,
}

impl Judge {
    pub(crate) fn new(source: &Path) -> Self {
        let place = Place::new();
        let digest = sha256(source);
        Judge { place, source: source.to_owned(), digest, before: Kernel::look(), materials: Vec::new() }
    }

    /// The source's SHA-256.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// A file that a step needs.
    pub(crate) fn material(&mut self, name: &str, content: impl AsRef<[u8]>) {
        self.place.write(name, content);
        if !self.materials.iter().any(|known| known == name) {
            self.materials.push(name.to_owned());
            self.materials.sort();
        }
    }

    /// The arguments of a build of `o.img` on this kernel.
    pub(crate) fn build(&self, mapper: &str, more: &[&str]) -> Vec<String> {
        let source = self.source.display().to_string();
        let build =
            ["build", "--source", &source, "--checksum", "none", "--output", "o.img", "--size", "+16M"];
        let here = ["--isolation", "host", "--mapper", mapper];
        build.iter().chain(&here).chain(more).map(|&argument| argument.to_owned()).collect()
    }

    /// A template that builds `o.img` with these provisioners, as `t.pkr.hcl`.
    pub(crate) fn template(&mut self, provisioners: &str) {
        let source = &self.source;
        let template = format!(
            "source \"arm-image\" \"o\" {{\n iso_url = {source:?}\n iso_checksum = \"none\"\n output_filename = \"o.img\"\n}}\n\
             build {{\n sources = [\"source.arm-image.o\"]\n {provisioners}}}\n"
        );
        self.material("t.pkr.hcl", template);
    }

    /// Nothing has the output's name, the source is what it was, and the kernel is as before.
    ///
    /// After SIGKILL, the few names that no kernel owns are what `cleanup` takes, and the unfinished image stays.
    pub(crate) fn nothing_is_left(&self, row: &str, killed: bool) {
        if killed {
            // Nobody waits for what the kernel takes down by itself, in workers of its own.
            wait_for(&format!("the processes and mounts of {row} to end"), || {
                let now = Kernel::look();
                (now.processes == self.before.processes && now.mounts == self.before.mounts).then_some(())
            });
            let expected: Vec<_> =
                self.materials.iter().cloned().chain(["o.img.partial".to_owned()]).collect();
            let found = names_in(&self.place.work());
            // One that is killed before it makes the file has none.
            assert!(found == sorted(expected) || found == self.materials, "{row}: {found:?}");
            self.place.run(["cleanup"]).expect(0);
            wait_for(&format!("the kernel to be as before {row}"), || {
                (Kernel::look() == self.before).then_some(())
            });
            let _ = std::fs::remove_file(self.place.path("o.img.partial"));
        }
        assert_eq!(Kernel::look(), self.before, "{row}");
        assert_eq!(names_in(&self.place.work()), self.materials, "{row}");
        assert_eq!(names_in(&self.place.temporary()), Vec::<String>::new(), "{row}");
        assert_eq!(sha256(&self.source), self.digest, "{row}");
    }

    /// The image is there and whole, and goes.
    pub(crate) fn is_sound(&self, row: &str) {
        let output = self.place.path("o.img");
        assert!(output.exists(), "{row}");
        assert_sound(&output);
        std::fs::remove_file(output).unwrap();
    }

    /// As [`nothing_is_left`](Self::nothing_is_left), of a run that was to be ended by `signal`.
    pub(crate) fn judge(&self, row: &str, signal: Signal, ended: &Ended) {
        let killed = signal == Signal::SIGKILL;
        match ended.0.status.code() {
            Some(code) => assert_eq!(code, 128 + signal as i32, "{row}: {ended:?}"),
            None => assert!(killed, "{row}: {ended:?}"),
        }
        self.nothing_is_left(row, killed);
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}
