//! A panic in what embeds the library, at every stage.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arm_image::{Event, Isolation, Local, Mapper, Plan, Step, Work};
use arm_image_chroot::{Copy, Download, Script};
use arm_image_fetch::{Checksum, Source};
use arm_image_tests::images;
use arm_image_tests::program::{Place, Server, names_in, sha256};

use crate::judge::{Judge, with_image};

/// The first event of a kind after a stage has begun, which is how it is known again in another run of the same build.
#[derive(Debug, Clone, PartialEq)]
struct Moment {
    kind: &'static str,
    stage: String,
}

/// The moment that an event is, if it comes in every run; `stage` is the one that began last.
fn moment(event: Event<'_>, stage: &mut String) -> Option<Moment> {
    let kind = match event {
        Event::Stage(begun, what) => {
            *stage = format!("{}: {what}", begun.name());
            "stage"
        }
        Event::Bytes(..) => "bytes",
        Event::Note(..) => "note",
        Event::Warning(..) => "warning",
        Event::Output(..) => "output",
        Event::Breakpoint(..) => "breakpoint",
        // In a step, and before the image gets its name; elsewhere it comes only where something takes long.
        Event::Waiting if stage.starts_with("provision") || stage.starts_with("resize: shrinking") => {
            "waiting"
        }
        _ => return None,
    };
    Some(Moment { kind, stage: stage.clone() })
}

/// A build with everything that has an event of its own.
fn plan(judge: &Judge, source: Source, checksum: Checksum, mapper: Mapper) -> Plan {
    let mut plan = Plan::new([source], checksum, judge.place.path("o.img"));
    plan.origin.cache = Some(judge.place.cache());
    plan.origin.image_checksum = format!("sha256:{}", judge.digest()).parse().unwrap();
    plan.size = Some("+16M".parse().unwrap());
    plan.shrink = true;
    plan.enter.isolation = Isolation::Host;
    plan.enter.mapper = mapper;
    plan.enter.search = vec!["/usr/bin".into(), "/usr/sbin".into()];
    let down = judge.place.temporary().join("down");
    let here = "sleep 700 & setsid sleep 800 & echo begun; sleep 0.5";
    plan.steps = vec![
        Step::run("sleep 700 & setsid sleep 800 & echo begun; sleep 0.5"),
        Step::of(Work::Copy(Copy { from: judge.place.path("up"), to: "/etc/up".into() })),
        Step::of(Work::Download(Download { from: "/etc/up".into(), to: down })),
        Step::of(Work::Local(Local::of([Script::Inline(here.into())]))),
        Step::of(Work::Breakpoint("look".into())),
    ];
    plan
}

/// Runs `plan`, with a callback that panics at `panic_at`, and gives the moments that came.
fn run(judge: &Judge, plan: &Plan, panic_at: Option<&Moment>) -> (bool, Vec<Moment>) {
    let (mut stage, mut came) = (String::new(), Vec::new());
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        arm_image::build(plan, &judge.place.temporary(), &mut |event| {
            if let Some(moment) = moment(event, &mut stage).filter(|moment| !came.contains(moment)) {
                // Once only, as a second one while the first unwinds would abort.
                came.push(moment);
                assert!(came.last() != panic_at, "the embedder panics");
            }
            ControlFlow::Continue(())
        })
    }));
    let built = outcome.map(|built| built.map_err(|error| arm_image::chain(&error)).unwrap()).is_ok();
    (built, came)
}

fn at_every_event(image: &Path, mapper: Mapper, source: Source, checksum: &Checksum, kinds: &[&str]) {
    let mut judge = Judge::new(image);
    judge.material("up", "up\n");
    let plan = plan(&judge, source, checksum.clone(), mapper);
    // What the cache has, and what was downloaded out of the image, would make the next build another one.
    let afresh = || {
        for folder in [judge.place.cache(), judge.place.temporary()] {
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir(&folder).unwrap();
        }
    };
    let (built, moments) = run(&judge, &plan, None);
    assert!(built);
    std::fs::remove_file(judge.place.path("o.img")).unwrap();
    for stage in ["fetch", "unpack", "verify", "inspect", "resize", "mount", "provision", "finish"] {
        assert!(moments.iter().any(|moment| moment.stage.starts_with(stage)), "{stage}: {moments:?}");
    }
    let last = moments.last().unwrap();
    assert_eq!(last.kind, "waiting", "the image is written out by then: {last:?}");
    for moment in moments.iter().filter(|moment| kinds.contains(&moment.kind)) {
        afresh();
        let (built, came) = run(&judge, &plan, Some(moment));
        assert!(!built && came.last() == Some(moment), "{moment:?}: {came:?}");
        let _ = std::fs::remove_file(judge.place.temporary().join("down"));
        judge.nothing_is_left(&format!("a panic at {moment:?}, {mapper:?}"), false);
    }
}

#[test]
fn privileged_a_panic_leaves_nothing_at_any_event() {
    with_image("panics::privileged_a_panic_leaves_nothing_at_any_event", |image| {
        let archive = image.with_extension("img.xz");
        let checksum = format!("sha256:{}", sha256(&archive)).parse().unwrap();
        let server = Server::new("a.img.xz", std::fs::read(&archive).unwrap());
        let all = ["stage", "bytes", "note", "warning", "output", "breakpoint", "waiting"];
        at_every_event(image, Mapper::Dm, server.url("a.img.xz").parse().unwrap(), &checksum, &all);
        at_every_event(image, Mapper::Loop, Source::Path(image.into()), &Checksum::None, &["stage"]);
    });
}

#[test]
fn a_panic_leaves_nothing_of_a_guest() {
    let image = images::raspios_arm64_tiny();
    let digest = sha256(&image);
    for stage in ["fetch", "guest", "mount", "provision", "finish"] {
        let place = Place::new();
        let arguments = [image.as_os_str(), "o.img".as_ref(), ".".as_ref(), "guest".as_ref()];
        let mut embedder = place.command_of(env!("CARGO_BIN_EXE_embedder").as_ref(), arguments);
        let output = embedder.env("PANIC_AT", stage).output().unwrap();
        assert_eq!(output.status.code(), Some(101), "{stage}: {output:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("it panics at this stage"),
            "{stage}: {output:?}"
        );
        assert_eq!(names_in(&place.work()), Vec::<String>::new(), "{stage}");
        place.assert_clean();
    }
    assert_eq!(sha256(&image), digest);
}
