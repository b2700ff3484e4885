//! Sizes as people write them.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// The size that an image shall get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// The whole image, in bytes.
    Total(u64),
    /// This many bytes more than the image has.
    Extra(u64),
}

impl Size {
    /// The size in bytes that an image of `current` bytes gets; `None` where it does not fit in 64 bits.
    pub fn of(self, current: u64) -> Option<u64> {
        match self {
            Size::Total(bytes) => Some(bytes),
            Size::Extra(bytes) => current.checked_add(bytes),
        }
    }
}

/// A text that is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size: write bytes (1048576), 512M or 4G for the whole image, +2G for that much more")]
pub struct NotASize(String);

/// `1048576`, `512K`, `512M`, `4G`, `1T`, each also as `…iB`; `+` in front makes it relative. Units are binary.
impl FromStr for Size {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = |digits: &str| bytes(digits).ok_or_else(|| NotASize(text.to_owned()));
        match text.trim().strip_prefix('+') {
            Some(extra) => bytes(extra).map(Size::Extra),
            None => bytes(text.trim()).map(Size::Total),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Size::Total(bytes) => f.write_str(&humane(*bytes)),
            Size::Extra(bytes) => write!(f, "+{}", humane(*bytes)),
        }
    }
}

fn bytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let shift = match unit.to_ascii_uppercase().trim_end_matches("IB") {
        "" | "B" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// `bytes` for a reader: `2.6 GiB`, and whole numbers without a fraction.
pub(crate) fn humane(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let unit = (1..units.len()).rev().find(|&unit| bytes >= 1 << (10 * unit)).unwrap_or(0);
    let whole = 1u64 << (10 * unit);
    if bytes.is_multiple_of(whole) {
        return format!("{} {}", bytes / whole, units[unit]);
    }
    #[expect(clippy::cast_precision_loss, reason = "it is rounded to a tenth for a reader")]
    let value = bytes as f64 / whole as f64;
    format!("{value:.1} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_binary() {
        assert_eq!("1048576".parse(), Ok(Size::Total(1 << 20)));
        assert_eq!("512M".parse(), Ok(Size::Total(512 << 20)));
        assert_eq!("4GiB".parse(), Ok(Size::Total(4 << 30)));
        assert_eq!("4g".parse(), Ok(Size::Total(4 << 30)));
        assert_eq!("+2G".parse(), Ok(Size::Extra(2 << 30)));
    }

    #[test]
    fn what_is_no_size_is_told() {
        for text in ["", "+", "G", "4X", "-1", "4.5G", "99999999999999999999", "18446744073709551615G", "+-1"]
        {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn extra_is_added() {
        assert_eq!(Size::Extra(5).of(7), Some(12));
        assert_eq!(Size::Total(5).of(7), Some(5));
        assert_eq!(Size::Extra(u64::MAX).of(7), None);
    }

    #[test]
    fn people_read_sizes() {
        assert_eq!(humane(0), "0 bytes");
        assert_eq!(humane(4 << 30), "4 GiB");
        assert_eq!(humane((2 << 30) + (600 << 20)), "2.6 GiB");
    }
}
