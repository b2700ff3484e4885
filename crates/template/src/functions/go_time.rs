//! Go's way of formatting a time: the layout shows how 15:04:05 on Monday, 2 January 2006 is to look.

use jiff::civil::DateTime;

/// What a layout can hold, longer ones before what they begin with.
const PARTS: &[&str] = &[
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "-07:00:00",
    "-07:00",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z07:00",
    "Z0700",
    "Z07",
    "002",
    "__2",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "PM",
    "pm",
    "_2",
    "1",
    "2",
    "3",
    "4",
    "5",
];

/// `time`, which is UTC, in the look of `layout`.
pub(crate) fn format(layout: &str, time: DateTime) -> String {
    let mut result = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        // `Jan` is only a month where no lower-case letter follows.
        let fits = |part: &&&str| {
            rest.starts_with(**part)
                && !(**part == "Jan" && rest[3..].starts_with(|next: char| next.is_ascii_lowercase()))
        };
        match PARTS.iter().find(fits) {
            Some(part) => {
                result.push_str(&piece(part, time));
                rest = &rest[part.len()..];
            }
            None => {
                let (text, digits) = fraction(rest).unwrap_or((first.to_string(), first.len_utf8()));
                result.push_str(&text);
                rest = &rest[digits..];
            }
        }
    }
    result
}

/// `.000` or `.999`: fractions of a second, of which there are none here.
fn fraction(rest: &str) -> Option<(String, usize)> {
    let digits = rest.strip_prefix(['.', ','])?;
    let zeros = digits.len() - digits.trim_start_matches('0').len();
    let nines = digits.len() - digits.trim_start_matches('9').len();
    let length = zeros.max(nines);
    if length == 0 || digits[length..].starts_with(|next: char| next.is_ascii_digit()) {
        return None;
    }
    Some((if zeros > 0 { rest[..=zeros].to_owned() } else { String::new() }, length + 1))
}

fn piece(part: &str, time: DateTime) -> String {
    let twelve = (time.hour() + 11) % 12 + 1;
    match part {
        "January" => time.strftime("%B").to_string(),
        "Jan" => time.strftime("%b").to_string(),
        "Monday" => time.strftime("%A").to_string(),
        "Mon" => time.strftime("%a").to_string(),
        "MST" => "UTC".to_owned(),
        "2006" => format!("{:04}", time.year()),
        "06" => format!("{:02}", time.year().rem_euclid(100)),
        "01" => format!("{:02}", time.month()),
        "1" => time.month().to_string(),
        "02" => format!("{:02}", time.day()),
        "_2" => format!("{:2}", time.day()),
        "2" => time.day().to_string(),
        "002" => format!("{:03}", time.day_of_year()),
        "__2" => format!("{:3}", time.day_of_year()),
        "15" => format!("{:02}", time.hour()),
        "03" => format!("{twelve:02}"),
        "3" => twelve.to_string(),
        "04" => format!("{:02}", time.minute()),
        "4" => time.minute().to_string(),
        "05" => format!("{:02}", time.second()),
        "5" => time.second().to_string(),
        "PM" => (if time.hour() < 12 { "AM" } else { "PM" }).to_owned(),
        "pm" => (if time.hour() < 12 { "am" } else { "pm" }).to_owned(),
        "-07:00:00" => "+00:00:00".to_owned(),
        "-07:00" => "+00:00".to_owned(),
        "-0700" => "+0000".to_owned(),
        "-07" => "+00".to_owned(),
        // What begins with `Z` shows UTC by that letter.
        _ => "Z".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_show_the_time() {
        let time = jiff::civil::date(2024, 3, 5).at(14, 7, 9, 0);
        assert_eq!(format("2006-01-02T15:04:05Z07:00", time), "2024-03-05T14:07:09Z");
        assert_eq!(
            format("Mon Jan _2 03:04:05.000 PM MST 2006 (002)", time),
            "Tue Mar  5 02:07:09.000 PM UTC 2024 (065)"
        );
        assert_eq!(format("20060102-150405", time), "20240305-140709");
        assert_eq!(format("Monday, 2 January 06 -0700", time), "Tuesday, 5 March 24 +0000");
    }
}
