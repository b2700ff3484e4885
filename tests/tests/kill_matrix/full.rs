//! No space left, on this machine and in the image.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use arm_image_tests::program::kernel::Kernel;
use arm_image_tests::program::names_in;

use crate::judge::{Judge, with_image};

const MIB: u64 = 1 << 20;

/// A file system of so many bytes on a folder, for as long as this lives.
struct Small(PathBuf);

impl Small {
    fn on(folder: PathBuf, size: u64) -> Self {
        let options = format!("size={size}");
        mount(Some("tmpfs"), &folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
        Small(folder)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // A test that fails has more to say than this.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

#[test]
fn privileged_no_space_for_the_output_leaves_nothing() {
    with_image("full::privileged_no_space_for_the_output_leaves_nothing", |image| {
        let judge = Judge::new(image);
        // What an image that nothing is written to takes, with the blocks that the kernel writes to mount it.
        judge.place.run(judge.build("dm", &["--run", "true"])).expect(0);
        let used = 512 * std::fs::metadata(judge.place.path("o.img")).unwrap().blocks();
        std::fs::remove_file(judge.place.path("o.img")).unwrap();
        for mapper in ["dm", "loop"] {
            // While it is unpacked.
            let small = Small::on(judge.place.work(), 4 * MIB);
            let ended = judge.place.run(judge.build(mapper, &["--run", "true"])).expect(1);
            let _ = ended.says("No space left on device").says("choose another place for the output");
            assert_eq!(names_in(&judge.place.work()), Vec::<String>::new());
            drop(small);
            judge.nothing_is_left(&format!("no space for unpacking, {mapper}"), false);

            // While a step writes to it: the kernel takes it, and fails to write it back.
            let small = Small::on(judge.place.work(), used + 6 * MIB);
            let step = "dd if=/dev/urandom of=/fill bs=1M count=12";
            let ended = judge.place.run(judge.build(mapper, &["--run", step]));
            assert!([1, 7, 8, 9].contains(&ended.0.status.code().unwrap()), "{ended:?}");
            let _ = ended.says("space");
            assert_eq!(names_in(&judge.place.work()), Vec::<String>::new());
            drop(small);
            judge.nothing_is_left(&format!("no space for what a step writes, {mapper}"), false);
        }
    });
}

#[test]
fn privileged_no_space_for_temporary_files_leaves_nothing() {
    with_image("full::privileged_no_space_for_temporary_files_leaves_nothing", |image| {
        let mut judge = Judge::new(image);
        judge.template("provisioner \"shell-local\" {\n inline = [\"true\"]\n}\n");
        let before = Kernel::look();
        let small = Small::on(judge.place.temporary(), 4096);
        std::fs::write(judge.place.temporary().join("full"), [0; 4096]).unwrap();
        let ended = judge.place.run(["build", "t.pkr.hcl", "--isolation", "host"]).expect(8);
        let _ = ended.says("No space left on device");
        assert_eq!(names_in(&judge.place.temporary()), ["full"]);
        drop(small);
        assert_eq!(Kernel::look(), before);
        judge.nothing_is_left("no space for temporary files", false);
    });
}

#[test]
fn privileged_no_space_in_the_image_leaves_nothing() {
    with_image("full::privileged_no_space_in_the_image_leaves_nothing", |image| {
        let mut judge = Judge::new(image);
        let file = std::fs::File::create(judge.place.path("large")).unwrap();
        file.set_len(200 * MIB).unwrap();
        judge.material("small", "");
        std::fs::rename(judge.place.path("large"), judge.place.path("small")).unwrap();
        for mapper in ["dm", "loop"] {
            for steps in [
                ["--run", "dd if=/dev/zero of=/fill bs=1M"],
                ["--run", "dd if=/dev/zero of=/boot/firmware/fill bs=1M"],
                ["--copy", "small:/etc/large"],
                ["--copy", "small:/boot/firmware/large"],
            ] {
                let ended = judge.place.run(judge.build(mapper, &steps)).expect(8);
                let _ = ended.says("No space left on device");
                judge.nothing_is_left(&format!("{steps:?}, {mapper}"), false);
            }
        }
    });
}
