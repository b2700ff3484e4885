//! What the whole-program and privileged tests share: [`in_guest`] runs a test as root in a kernel of its own.

mod guest;
pub mod images;
pub mod machine_code;
pub mod program;

pub use guest::{guest_lines, in_guest, init_program, serve};
