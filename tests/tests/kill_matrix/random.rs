//! SIGKILL at moments that nobody has chosen, and what it leaves: the figures of docs/cleanup.md.
//!
//! `cargo test -p arm-image-tests --test kill_matrix random -- --nocapture` prints them.

use std::time::{Duration, Instant};

use arm_image_tests::images;
use arm_image_tests::program::kernel::Kernel;
use arm_image_tests::program::{Place, names_in, sha256};
use nix::sys::signal::Signal;

use crate::judge::{Judge, with_image};

const ROUNDS: u32 = 20;
/// A step that takes its time, and leaves something behind.
const STEP: &str =
    "sleep 700 & setsid sleep 800 & for n in 1 2 3 4 5 6; do echo $n > /etc/n; sleep 0.05; done";

/// A fraction below one, from a fixed seed: a failure can be had again.
struct Fractions(u64);

impl Fractions {
    fn next(&mut self) -> f64 {
        // Knuth's MMIX generator; its high bits are random enough for a moment.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 32).unwrap()) / f64::from(u32::MAX)
    }
}

/// How many of the rounds left something of a kind.
#[derive(Debug, Default)]
struct Count {
    /// As soon as the process was gone.
    devices: u32,
    mounts: u32,
    processes: u32,
    handlers: u32,
    temporary: u32,
    /// The build was done before its time.
    done: u32,
}

#[expect(clippy::print_stdout, reason = "the figures are what this test is for")]
fn print(line: &str) {
    println!("{line}");
}

fn killed(mapper: &str, name: &str) {
    with_image(name, |image| {
        let judge = Judge::new(image);
        let begun = Instant::now();
        judge.place.run(judge.build(mapper, &["--run", STEP])).expect(0);
        let length = begun.elapsed();
        std::fs::remove_file(judge.place.path("o.img")).unwrap();
        let before = Kernel::look();
        let mut fractions = Fractions(2026);
        let mut count = Count::default();
        for round in 0..ROUNDS {
            let running = judge.place.start(judge.build(mapper, &["--run", STEP]));
            std::thread::sleep(length.mul_f64(fractions.next()));
            running.send(Signal::SIGKILL);
            let ended = running.wait();
            let now = Kernel::look();
            count.devices += u32::from(now.dm != before.dm || now.loops != before.loops);
            count.mounts += u32::from(now.mounts != before.mounts);
            count.processes += u32::from(now.processes != before.processes);
            count.handlers += u32::from(now.handlers != before.handlers);
            count.temporary += u32::from(!names_in(&judge.place.temporary()).is_empty());
            if ended.0.status.success() {
                count.done += 1;
                judge.is_sound("done before its time");
            }
            judge.nothing_is_left(&format!("round {round}, {mapper}"), !ended.0.status.success());
        }
        print(&format!("{ROUNDS} rounds of SIGKILL within {} ms, {mapper}: {count:?}", length.as_millis()));
        assert!(count.done < ROUNDS / 2, "most of them have to be killed: {count:?}");
        assert_eq!(count.mounts, 0, "no moment passes until mounts are gone");
    });
}

#[test]
fn privileged_twenty_kills_at_random_moments_leave_nothing_of_dm() {
    killed("dm", "random::privileged_twenty_kills_at_random_moments_leave_nothing_of_dm");
}

#[test]
fn privileged_twenty_kills_at_random_moments_leave_nothing_of_loop_devices() {
    killed("loop", "random::privileged_twenty_kills_at_random_moments_leave_nothing_of_loop_devices");
}

#[test]
fn twenty_kills_at_random_moments_leave_nothing_of_a_guest() {
    let image = images::raspios_arm64_tiny();
    let (place, digest, source) = (Place::new(), sha256(&image), image.display().to_string());
    let build = ["build", "--source", &source, "--checksum", "none", "--output", "o.img", "--run", STEP];
    let build = [build.as_slice(), &["--isolation", "guest"]].concat();
    let begun = Instant::now();
    place.run(&build).expect(0);
    let length: Duration = begun.elapsed();
    std::fs::remove_file(place.path("o.img")).unwrap();
    let (mut fractions, mut processes, mut done) = (Fractions(2027), 0, 0);
    for round in 0..ROUNDS {
        let running = place.start(&build);
        std::thread::sleep(length.mul_f64(fractions.next()));
        running.send(Signal::SIGKILL);
        let ended = running.wait();
        processes += u32::from(!place.processes().is_empty());
        place.assert_processes_end();
        place.run(["cleanup"]).expect(0);
        place.assert_clean();
        done += u32::from(ended.0.status.success());
        for name in names_in(&place.work()) {
            assert!(name == "o.img.partial" || ended.0.status.success(), "round {round}: {name}");
            std::fs::remove_file(place.path(&name)).unwrap();
        }
    }
    assert!(done < ROUNDS / 2, "most of them have to be killed");
    assert_eq!(sha256(&image), digest);
    print(&format!(
        "{ROUNDS} rounds of SIGKILL within {} ms, guest: processes for a moment: {processes}, done: {done}",
        length.as_millis()
    ));
}
