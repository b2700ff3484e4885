//! Checksum lists come from servers, and judge images: no bytes make their reader panic, and it makes nothing up.
#![no_main]

use arm_image_fetch::fuzzing::{choose, signs};
use arm_image_fetch::{Algorithm, Digest, Error};
use libfuzzer_sys::fuzz_target;

const NAME: &str = "raspios.img.xz";

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data).to_lowercase();
    if let Ok(digest) = choose(data, NAME) {
        assert!(text.contains(&digest.hex()), "{digest} is not in the list");
    }
    // Whatever follows it, a proper entry is found, and gives way to none but a stronger one.
    let proper = Digest::of(Algorithm::Sha256, data).expect("memory can be read");
    for entry in [format!("{}  {NAME}\n", proper.hex()), format!("SHA256 ({NAME}) = {}\n", proper.hex())] {
        match choose(&[entry.as_bytes(), data].concat(), NAME) {
            Ok(digest) if digest == proper => {}
            Ok(digest) => assert!(digest.algorithm() > Algorithm::Sha256 && text.contains(&digest.hex())),
            Err(Error::Ambiguous { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    // Nobody has the key, so that nothing but a self-made keyring can sign.
    let _ = signs(data);
});
