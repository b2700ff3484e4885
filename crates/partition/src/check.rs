//! The rules that every table has to keep, whatever its scheme.

use std::ops::Range;

use crate::Error;

/// The bytes that a partition keeps from others: its own, and for a logical one its boot record in front.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) number: u32,
    pub(crate) range: Range<u64>,
}

/// Checks that claims are not empty, lie inside `usable` and do not overlap.
pub(crate) fn check(mut claims: Vec<Claim>, usable: &Range<u64>) -> Result<(), Error> {
    for Claim { number, range } in &claims {
        let number = *number;
        if range.is_empty() {
            return Err(Error::Empty { number });
        }
        if range.start < usable.start {
            return Err(Error::BadStart { number, start: range.start });
        }
        if range.end > usable.end {
            return Err(Error::PastEnd { number, end: range.end, limit: usable.end });
        }
    }
    claims.sort_by_key(|claim| claim.range.start);
    for pair in claims.windows(2) {
        if pair[0].range.end > pair[1].range.start {
            return Err(Error::Overlap { first: pair[0].number, second: pair[1].number });
        }
    }
    Ok(())
}
