//! The crate from outside: round trips, damaged input, holes, and the usual tools for comparison.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and its helpers do, too")]

mod blocks;
mod common;
mod damage;
mod frames;
mod members;
mod peek;
mod round_trip;
mod sparse;
mod tools;
