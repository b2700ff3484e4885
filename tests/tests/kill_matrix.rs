//! The kill matrix: whatever ends a build, at whatever stage, nothing stays behind.
//!
//! Where a moment is a system call, `strace` has the kernel deliver the signal as that call begins; where a step runs,
//! the signal comes once the step has said something. `privileged_…` tests are run by root in a guest kernel where nothing
//! else goes on, so that all of its devices, mounts, handlers and processes can be compared.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

#[path = "kill_matrix/full.rs"]
mod full;
#[path = "kill_matrix/hostile.rs"]
mod hostile;
#[path = "kill_matrix/judge.rs"]
mod judge;
#[path = "kill_matrix/panics.rs"]
mod panics;
#[path = "kill_matrix/random.rs"]
mod random;
#[path = "kill_matrix/signals.rs"]
mod signals;
#[path = "kill_matrix/traced.rs"]
mod traced;
#[path = "kill_matrix/unprivileged.rs"]
mod unprivileged;
#[path = "kill_matrix/waiting.rs"]
mod waiting;
