//! Steps that are given time.

use super::Provisioner;
use crate::{ChrootRunner, Error, Output, OutputTick};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// A pause looks up as often as a silent command does.
const LOOK_UP: Duration = Duration::from_millis(100);

/// A step with pauses around it, a limit to its time, and further attempts after a failure.
#[derive(Debug)]
pub struct Paced {
    /// The step.
    pub step: Box<dyn Provisioner>,
    /// How long to wait before the first attempt.
    pub pause_before: Duration,
    /// How long to wait after an attempt that succeeds.
    pub pause_after: Duration,
    /// How long an attempt may take; what it runs is then killed.
    pub timeout: Option<Duration>,
    /// How many attempts there are after the first, as long as they fail.
    pub retries: u32,
}

impl Paced {
    /// `step` as it is, without pauses, limit or further attempts.
    pub fn of(step: Box<dyn Provisioner>) -> Paced {
        Paced { step, pause_before: Duration::ZERO, pause_after: Duration::ZERO, timeout: None, retries: 0 }
    }

    fn attempt(&self, root: &mut dyn ChrootRunner, tick: OutputTick<'_>) -> Result<(), Error> {
        let Some(limit) = self.timeout else { return self.step.provision(root, tick) };
        let start = Instant::now();
        let (mut late, mut cancelled) = (false, false);
        let outcome = self.step.provision(root, &mut |output| {
            cancelled |= tick(output).is_break();
            late |= start.elapsed() >= limit;
            if cancelled || late { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match outcome {
            Err(Error::Cancelled) if !cancelled => Err(Error::TimedOut { step: self.describe(), limit }),
            outcome => outcome,
        }
    }
}

impl Provisioner for Paced {
    fn describe(&self) -> String {
        self.step.describe()
    }

    /// # Errors
    ///
    /// What the last attempt reports, [`Error::TimedOut`] among it.
    fn provision(&self, root: &mut dyn ChrootRunner, tick: OutputTick<'_>) -> Result<(), Error> {
        pause(self.pause_before, tick)?;
        for left in (0..self.retries).rev() {
            match self.attempt(root, tick) {
                Ok(()) => return pause(self.pause_after, tick),
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => {
                    let told = format!("{error}; trying again, {left} further attempts are left");
                    if tick(Output::Stderr(told.as_bytes())).is_break() {
                        return Err(Error::Cancelled);
                    }
                }
            }
        }
        self.attempt(root, tick)?;
        pause(self.pause_after, tick)
    }
}

/// Waits, because the user wants it.
fn pause(length: Duration, tick: OutputTick<'_>) -> Result<(), Error> {
    let start = Instant::now();
    while let Some(left) = length.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        if tick(Output::Waiting).is_break() {
            return Err(Error::Cancelled);
        }
        std::thread::sleep(left.min(LOOK_UP));
    }
    Ok(())
}
