//! The bytes of an image that is mostly holes, to be compared with what they were.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rustix::fs::{SeekFrom, seek};

use crate::common::Image;

const PIECE: usize = 4096;

/// Every piece that is not a hole, by its offset.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pieces(BTreeMap<u64, [u8; PIECE]>);

impl Pieces {
    pub(crate) fn of(image: &Image) -> Self {
        let file = image.open();
        let length = file.metadata().expect("no metadata").len();
        let mut pieces = BTreeMap::new();
        let mut at = 0;
        // Behind the last piece of data there is none, which is an error here.
        while let Ok(data) = seek(&file, SeekFrom::Data(at)) {
            at = data / PIECE as u64 * PIECE as u64;
            let hole = seek(&file, SeekFrom::Hole(data)).expect("data without an end");
            while at < hole {
                let mut piece = [0; PIECE];
                let inside = usize::try_from(length - at).map_or(PIECE, |rest| rest.min(PIECE));
                file.read_exact_at(&mut piece[..inside], at).expect("failed to read the image");
                if piece != [0; PIECE] {
                    pieces.insert(at, piece);
                }
                at += PIECE as u64;
            }
        }
        Self(pieces)
    }

    /// The offsets at which the two differ; what is behind an end counts as zeros.
    pub(crate) fn differences(&self, other: &Self) -> Vec<u64> {
        let mut differences = Vec::new();
        for at in self.0.keys().chain(other.0.keys().filter(|at| !self.0.contains_key(at))) {
            let [one, two] = [self, other].map(|pieces| pieces.0.get(at).unwrap_or(&[0; PIECE]));
            let places = (*at..).zip(one.iter().zip(two));
            differences.extend(places.filter(|(_, (one, two))| one != two).map(|(place, _)| place));
        }
        differences
    }

    /// The little-endian number in a range that lies in one piece.
    pub(crate) fn number(&self, range: Range<u64>) -> u64 {
        let base = range.start / PIECE as u64 * PIECE as u64;
        let piece = self.0.get(&base).unwrap_or(&[0; PIECE]);
        range.rev().fold(0, |number, at| {
            number << 8 | u64::from(piece[usize::try_from(at - base).expect("a small number")])
        })
    }
}
