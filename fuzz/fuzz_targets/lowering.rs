//! Templates that become plans: no panic, and plans that are JSON.

#![no_main]

use arm_image::Plan;
use arm_image::template::{Request, list, prepare};
use arm_image_fetch::Checksum;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(folder) = tempfile::tempdir() else { return };
    for name in ["t.pkr.hcl", "t.json"] {
        let path = folder.path().join(name);
        if std::fs::write(&path, text).is_err() {
            return;
        }
        let request = Request { path, working_folder: folder.path().into(), ..Request::default() };
        if let Ok(listed) = list(&request) {
            let _ = (listed.to_string(), listed.to_json());
        }
        if let Ok(prepared) = prepare(&request, &Plan::new([], Checksum::None, "output")) {
            assert!(!prepared.plans().is_empty());
            prepared.plans_json().expect("plans are JSON");
            for build in &prepared.builds {
                let _ = build.disguises(&prepared.template);
            }
        }
    }
});
