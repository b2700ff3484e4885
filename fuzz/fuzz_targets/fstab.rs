//! Any text is a table of mounts, or part of one; every target found is a clean absolute path, parents first.
#![no_main]
use std::path::Component;

use arm_image_presets::OsRelease;
use arm_image_presets::fstab::{Candidate, mounts, parse, resolve};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let _ = OsRelease::parse(&text).version();
    let candidates = [
        Candidate { number: 1, partuuid: Some("a-01"), uuid: Some("A"), label: Some("a"), partlabel: Some("a") },
        Candidate { number: 2, partuuid: Some("b"), ..Candidate::default() },
    ];
    let entries = parse(&text);
    let found = mounts(&entries, &candidates);
    for (index, mount) in found.iter().enumerate() {
        let parts: Vec<_> = mount.target.components().collect();
        assert!(matches!(parts.first(), Some(Component::RootDir)));
        assert!(parts.iter().skip(1).all(|part| matches!(part, Component::Normal(_))));
        assert!(!mount.target.as_os_str().as_encoded_bytes().contains(&0));
        assert!(found.iter().skip(index + 1).all(|later| later.target != mount.target && !mount.target.starts_with(&later.target)));
        assert!(candidates.iter().any(|candidate| candidate.number == mount.number));
    }
    assert!(resolve(&entries, &candidates).len() <= found.len());
});
