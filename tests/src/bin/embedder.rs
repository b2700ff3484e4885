//! A program that embeds the library and asks for what the command line has no option for, in one build.
//!
//! `embedder SOURCE OUTPUT FOLDER host|guest`: uploads FOLDER/up, downloads to FOLDER/down. With `PANIC_AT=STAGE` in its
//! environment it only runs a step, and panics as that stage begins.

use std::error::Error;
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use arm_image::{Event, Isolation, Local, Plan, Step, Work};
use arm_image_chroot::{Download, Script, Scripts, Source, Upload};

fn main() -> Result<(), Box<dyn Error>> {
    arm_image::serve_if_guest();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [source, output, folder, isolation] = arguments.as_slice() else {
        return Err("embedder SOURCE OUTPUT FOLDER host|guest".into());
    };
    let mut plan = Plan::new([arm_image_fetch::Source::Path(source.into())], "none".parse()?, output);
    plan.enter.isolation = if isolation == "host" { Isolation::Host } else { Isolation::Guest };
    plan.enter.search = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let panic_at = std::env::var("PANIC_AT").ok();
    plan.steps = match panic_at {
        Some(_) => vec![Step::run("sleep 700 & true")],
        None => steps(&PathBuf::from(folder)),
    };
    arm_image::build(&plan, &std::env::temp_dir(), &mut |event| {
        if let Event::Stage(stage, _) = event {
            assert_ne!(panic_at.as_deref(), Some(stage.name()), "it panics at this stage");
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}

fn steps(folder: &std::path::Path) -> Vec<Step> {
    let content = Upload {
        from: Source::Content(b"written\n".to_vec()),
        to: "/etc/content".into(),
        mode: Some(0o604),
        owner: None,
    };
    let tree = Upload {
        from: Source::Path(folder.join("up")),
        to: "/opt".into(),
        mode: Some(0o640),
        owner: Some("daemon:7".into()),
    };
    let as_user = Scripts {
        directory: "/opt/up".into(),
        user: Some("daemon".into()),
        env: vec![("WORD".into(), "a 'quoted' word".into())],
        execute_command: Some("env {{ .Vars }} sh {{ .Path }} > /tmp/said".into()),
        ..Scripts::of([Script::Inline("id -un; pwd; echo \"$WORD\"".into())])
    };
    let codes = Scripts { valid_exit_codes: vec![3], ..Scripts::of([Script::Inline("exit 3".into())]) };
    let once_too_slow = "test -e /opt/tried || { : > /opt/tried; sleep 600; }";
    let here = "echo \"$ARM_IMAGE_MOUNT_PATH\" > \"$FOLDER/mount\"
        if test -d \"$ARM_IMAGE_MOUNT_PATH\"; then
            cp \"$ARM_IMAGE_MOUNT_PATH/etc/content\" \"$FOLDER/seen\"
            cat \"$ARM_IMAGE_MOUNT_PATH/boot/firmware/here\" >> \"$FOLDER/seen\"
            chroot \"$ARM_IMAGE_MOUNT_PATH\" /bin/sh -c 'uname -m; test -e /proc/self/status && echo proc' >> \"$FOLDER/seen\"
        fi";
    let here =
        Local { env: vec![("FOLDER".into(), folder.into())], ..Local::of([Script::Inline(here.into())]) };
    vec![
        Step::of(Work::Upload(content)),
        Step::of(Work::Upload(tree)),
        Step::of(Work::Scripts(as_user)),
        Step::run("cp /tmp/said /opt/said; echo boot > /boot/firmware/here"),
        Step::of(Work::Scripts(codes)),
        Step { timeout: Some(Duration::from_secs(5)), retries: 1, ..Step::run(once_too_slow) },
        // What scripts of this machine find there is not for those of the image.
        Step::run("umount -l /proc; ! test -e /proc/1 || exit 4"),
        Step::of(Work::Local(here)),
        Step::of(Work::Download(Download { from: "/opt/up".into(), to: folder.join("down") })),
    ]
}
