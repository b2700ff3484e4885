//! Functions of dates, with the time given by the caller.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::{Function, go_time};
use crate::Value;
use crate::session::{Fault, Session};

pub(super) const FUNCTIONS: &[Function] = &[
    ("formatdate", 2, 2, |call| {
        let (time, offset) = parse(&call.text(1)?)?;
        Ok(Value::String(format(&call.text(0)?, time, offset)?))
    }),
    ("legacy_isotime", 0, 1, |call| {
        let layout = if call.len() == 0 { RFC3339.to_owned() } else { call.text(0)? };
        Ok(Value::String(go_time::format(&layout, now(call.evaluator.session)?)))
    }),
    ("legacy_strftime", 1, 1, |call| Ok(Value::String(strftime(call.evaluator.session, &call.text(0)?)?))),
    ("timeadd", 2, 2, |call| {
        let (time, offset) = parse(&call.text(0)?)?;
        let duration = duration(&call.text(1)?)?;
        let sum = time.checked_add(duration).map_err(|_| Fault::new("the time is out of range"))?;
        let zone = if offset == Offset::UTC { "Z".to_owned() } else { zone(offset, true) };
        Ok(Value::String(format!("{}{zone}", offset.to_datetime(sum).strftime("%Y-%m-%dT%H:%M:%S"))))
    }),
    ("timestamp", 0, 0, |call| Ok(Value::String(go_time::format(RFC3339, now(call.evaluator.session)?)))),
];

/// The default layout of `isotime`.
pub(crate) const RFC3339: &str = "2006-01-02T15:04:05Z07:00";

/// The time of the build, UTC.
pub(crate) fn now(session: &Session<'_>) -> Result<DateTime, Fault> {
    let now =
        Timestamp::from_second(session.inputs.now).map_err(|_| Fault::new("the time is out of range"))?;
    Ok(Offset::UTC.to_datetime(now))
}

/// The time of the build as strftime(3) formats it.
pub(crate) fn strftime(session: &Session<'_>, pattern: &str) -> Result<String, Fault> {
    session.spend(pattern.len() as u64)?;
    let time = now(session)?.to_zoned(TimeZone::UTC).map_err(|_| Fault::new("the time is out of range"))?;
    // A width such as `%999999999d` would be filled up in memory.
    let mut digits = 0;
    for letter in pattern.chars() {
        digits = if letter.is_ascii_digit() { digits + 1 } else { 0 };
        if digits > 2 && pattern.contains('%') {
            return Err("a format of strftime has no numbers with more than two digits".into());
        }
    }
    jiff::fmt::strtime::format(pattern, &time)
        .map_err(|error| Fault::new(format!("`{pattern}` is no format of strftime: {error}")))
}

fn parse(text: &str) -> Result<(Timestamp, Offset), Fault> {
    let wrong = || {
        Fault::new(format!("`{text}` is no time"))
            .hint("as in \"2024-03-15T00:00:00Z\", or timestamp()".to_owned())
    };
    let time: Timestamp = text.parse().map_err(|_| wrong())?;
    let pieces = jiff::fmt::temporal::Pieces::parse(text).map_err(|_| wrong())?;
    Ok((time, pieces.to_numeric_offset().unwrap_or(Offset::UTC)))
}

/// A duration as Go writes it: `1h30m`, `-90s`, `1.5h`.
pub(crate) fn duration(text: &str) -> Result<SignedDuration, Fault> {
    let wrong =
        || Fault::new(format!("`{text}` is no duration")).hint("as in `10s`, `5m` or `1h30m`".to_owned());
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() || rest.len() > 64 {
        return Err(wrong());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        rest = &rest[end..];
        let units =
            [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let (unit, length) = units.into_iter().find(|(unit, _)| rest.starts_with(unit)).ok_or_else(wrong)?;
        rest = &rest[unit.len()..];
        seconds += number * length;
    }
    SignedDuration::try_from_secs_f64(if negative { -seconds } else { seconds }).map_err(|_| wrong())
}

/// `+01:00` or `+0100`.
fn zone(offset: Offset, colon: bool) -> String {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
    if colon { format!("{sign}{hours:02}:{rest:02}") } else { format!("{sign}{hours:02}{rest:02}") }
}

/// Text up to a single quote, two of which are one; and what comes after it.
fn quoted<'t>(text: &'t str, into: &mut String) -> Result<&'t str, Fault> {
    let mut rest = text;
    loop {
        let Some((before, after)) = rest.split_once('\'') else {
            return Err("a quote in the format is not closed".into());
        };
        into.push_str(before);
        let Some(more) = after.strip_prefix('\'') else { return Ok(after) };
        into.push('\'');
        rest = more;
    }
}

/// The verbs of `formatdate`: runs of one letter, and text in single quotes.
fn format(spec: &str, time: Timestamp, offset: Offset) -> Result<String, Fault> {
    let civil = offset.to_datetime(time);
    let mut result = String::new();
    let mut rest = spec;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            rest = quoted(&rest[1..], &mut result)?;
            continue;
        }
        let length = rest.find(|letter| letter != first).unwrap_or(rest.len());
        let (run, after) = rest.split_at(length);
        rest = after;
        let twelve = (civil.hour() + 11) % 12 + 1;
        let utc = offset == Offset::UTC;
        result.push_str(&match run {
            "YYYY" => format!("{:04}", civil.year()),
            "YY" => format!("{:02}", civil.year().rem_euclid(100)),
            "MMMM" => civil.strftime("%B").to_string(),
            "MMM" => civil.strftime("%b").to_string(),
            "MM" => format!("{:02}", civil.month()),
            "M" => civil.month().to_string(),
            "DD" => format!("{:02}", civil.day()),
            "D" => civil.day().to_string(),
            "EEEE" => civil.strftime("%A").to_string(),
            "EEE" => civil.strftime("%a").to_string(),
            "hh" => format!("{:02}", civil.hour()),
            "h" => civil.hour().to_string(),
            "HH" => format!("{twelve:02}"),
            "H" => twelve.to_string(),
            "AA" => (if civil.hour() < 12 { "AM" } else { "PM" }).to_owned(),
            "aa" => (if civil.hour() < 12 { "am" } else { "pm" }).to_owned(),
            "mm" => format!("{:02}", civil.minute()),
            "m" => civil.minute().to_string(),
            "ss" => format!("{:02}", civil.second()),
            "s" => civil.second().to_string(),
            "ZZZZZ" => zone(offset, true),
            "ZZZZ" => zone(offset, false),
            "ZZZ" => {
                if utc {
                    "UTC".to_owned()
                } else {
                    zone(offset, false)
                }
            }
            "Z" => {
                if utc {
                    "Z".to_owned()
                } else {
                    zone(offset, true)
                }
            }
            letters if letters.starts_with(|letter: char| letter.is_ascii_alphabetic()) => {
                return Err(Fault::new(format!("`{letters}` is no part of a date"))
                    .hint("text in a date stands in single quotes".to_owned()));
            }
            other => other.to_owned(),
        });
    }
    Ok(result)
}
