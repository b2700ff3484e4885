//! A panic in what embeds the library, at every stage.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arm_image::{Event, Isolation, Mapper, Plan, Stage, Step};
use arm_image_tests::images;
use arm_image_tests::program::{Place, names_in, sha256};

use crate::judge::{Judge, with_image};

/// When the embedder's callback panics.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    Stage(Stage),
    Bytes,
    Output,
}

const MOMENTS: [Moment; 9] = [
    Moment::Stage(Stage::Fetch),
    Moment::Stage(Stage::Unpack),
    Moment::Bytes,
    Moment::Stage(Stage::Inspect),
    Moment::Stage(Stage::Resize),
    Moment::Stage(Stage::Mount),
    Moment::Stage(Stage::Provision),
    Moment::Output,
    Moment::Stage(Stage::Finish),
];

fn is_at(moment: Moment, event: Event<'_>) -> bool {
    match event {
        Event::Stage(stage, _) => moment == Moment::Stage(stage),
        Event::Bytes(..) => moment == Moment::Bytes,
        Event::Output(..) => moment == Moment::Output,
        _ => false,
    }
}

#[test]
fn privileged_a_panic_leaves_nothing_at_any_stage() {
    with_image("panics::privileged_a_panic_leaves_nothing_at_any_stage", |image| {
        let judge = Judge::new(image);
        for mapper in [Mapper::Dm, Mapper::Loop] {
            for moment in MOMENTS {
                let source = arm_image_fetch::Source::Path(image.into());
                let mut plan = Plan::new([source], "none".parse().unwrap(), judge.place.path("o.img"));
                plan.size = Some("+16M".parse().unwrap());
                plan.enter.isolation = Isolation::Host;
                plan.enter.mapper = mapper;
                plan.enter.search = vec!["/usr/bin".into(), "/usr/sbin".into()];
                plan.steps = vec![Step::run("sleep 700 & echo begun; sleep 600")];
                let mut panicked = false;
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    arm_image::build(&plan, &judge.place.temporary(), &mut |event| {
                        // Once only, as a second one while the first unwinds would abort. A step that runs for ever is ended.
                        if !panicked && is_at(moment, event) {
                            panicked = true;
                            panic!("the embedder panics");
                        }
                        match (moment, event) {
                            (Moment::Stage(Stage::Finish), Event::Output(..)) => ControlFlow::Break(()),
                            _ => ControlFlow::Continue(()),
                        }
                    })
                }));
                assert!(outcome.is_err() && panicked, "{moment:?}");
                judge.nothing_is_left(&format!("a panic at {moment:?}, {mapper:?}"), false);
            }
        }
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
