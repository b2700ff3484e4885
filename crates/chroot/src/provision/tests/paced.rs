//! Pauses, limits and further attempts.

use super::*;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Fails this many times, ticking each time.
#[derive(Debug)]
struct Failing {
    left: Cell<u32>,
    attempts: Rc<Cell<u32>>,
}

impl Provisioner for Failing {
    fn describe(&self) -> String {
        "fail".into()
    }
    fn provision(&self, _: &mut dyn ChrootRunner, tick: OutputTick<'_>) -> Result<(), Error> {
        self.attempts.set(self.attempts.get() + 1);
        if tick(Output::Waiting).is_break() {
            return Err(Error::Cancelled);
        }
        match self.left.get() {
            0 => Ok(()),
            left => {
                self.left.set(left - 1);
                Err(Error::NoRoot)
            }
        }
    }
}

fn failing(left: u32) -> (Paced, Rc<Cell<u32>>) {
    let attempts = Rc::new(Cell::new(0));
    (Paced::of(Box::new(Failing { left: Cell::new(left), attempts: Rc::clone(&attempts) })), attempts)
}

#[test]
fn a_step_is_tried_again_as_often_as_told() {
    for (failures, retries, attempts, succeeds) in
        [(0, 0, 1, true), (2, 2, 3, true), (3, 2, 3, false), (1, 0, 1, false)]
    {
        let (step, counted) = failing(failures);
        let outcome = Paced { retries, ..step }.provision(&mut Fake::default(), &mut go_on);
        assert_eq!((outcome.is_ok(), counted.get()), (succeeds, attempts));
    }
}

#[test]
fn a_further_attempt_is_told_of() {
    let mut said = Vec::new();
    let (step, _) = failing(1);
    let mut tick = |output: Output<'_>| {
        if let Output::Stderr(line) = output {
            said.push(String::from_utf8_lossy(line).into_owned());
        }
        ControlFlow::Continue(())
    };
    Paced { retries: 3, ..step }.provision(&mut Fake::default(), &mut tick).unwrap();
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("no partition") && said[0].contains("2 further attempts"), "{said:?}");
}

#[test]
fn a_step_that_takes_too_long_is_ended_and_may_be_tried_again() {
    let (step, attempts) = failing(0);
    let late = Paced { timeout: Some(Duration::ZERO), retries: 1, ..step };
    let error = late.provision(&mut Fake::default(), &mut go_on).unwrap_err();
    assert_eq!(error.to_string(), "`fail` took longer than 0ns");
    assert_eq!(attempts.get(), 2);
    let (step, _) = failing(0);
    let early = Paced { timeout: Some(Duration::MAX), ..step };
    early.provision(&mut Fake::default(), &mut go_on).unwrap();
}

#[test]
fn pauses_and_attempts_can_be_cancelled_and_are_not_repeated() {
    let stop = &mut |_: Output<'_>| ControlFlow::Break(());
    for pause in [true, false] {
        let (step, attempts) = failing(0);
        let timeout = Some(Duration::ZERO);
        let step = Paced {
            pause_before: if pause { Duration::MAX } else { Duration::ZERO },
            timeout,
            retries: 5,
            ..step
        };
        assert!(matches!(step.provision(&mut Fake::default(), stop), Err(Error::Cancelled)));
        assert_eq!(attempts.get(), u32::from(!pause));
    }
    let (step, _) = failing(0);
    let mut ticks = 0;
    let after = Paced { pause_after: Duration::MAX, ..step }.provision(&mut Fake::default(), &mut |_| {
        ticks += 1;
        if ticks == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(after, Err(Error::Cancelled)));
}
