//! `format()`: the verbs of printf as cty has them.

use crate::Value;
use crate::evaluate::{Type, convert};
use crate::value::{integer, number_text};

/// Wider fields would only serve to fill the memory.
const WIDEST: usize = 1024;

#[derive(Debug, Default)]
struct Verb {
    minus: bool,
    plus: bool,
    space: bool,
    zero: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

pub(super) fn format(pattern: &str, arguments: &[&Value]) -> Result<String, String> {
    let mut result = String::new();
    let mut letters = pattern.chars().peekable();
    let (mut next, mut indexed) = (0, false);
    while let Some(letter) = letters.next() {
        if letter != '%' {
            result.push(letter);
            continue;
        }
        let mut verb = Verb::default();
        while let Some(&flag) = letters.peek() {
            match flag {
                '-' => verb.minus = true,
                '+' => verb.plus = true,
                ' ' => verb.space = true,
                '0' => verb.zero = true,
                '#' => verb.sharp = true,
                _ => break,
            }
            letters.next();
        }
        verb.width = digits(&mut letters)?.unwrap_or(0);
        if letters.next_if_eq(&'.').is_some() {
            verb.precision = Some(digits(&mut letters)?.unwrap_or(0));
        }
        if letters.next_if_eq(&'[').is_some() {
            next = digits(&mut letters)?
                .and_then(|index| index.checked_sub(1))
                .ok_or("an index in `%[…]` is wrong")?;
            indexed = true;
            letters.next_if_eq(&']').ok_or("a `%[` in the format is not closed")?;
        }
        let Some(mode) = letters.next() else {
            return Err("the format ends in the middle of a verb".to_owned());
        };
        if mode == '%' {
            result.push('%');
            continue;
        }
        let Some(argument) = arguments.get(next) else {
            return Err(format!("the format has a `%{mode}` more than there are arguments"));
        };
        next += 1;
        result.push_str(&verb.apply(mode, argument)?);
    }
    if !indexed && next < arguments.len() {
        return Err(format!("the format uses {next} of {} arguments", arguments.len()));
    }
    Ok(result)
}

fn digits(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>, String> {
    let mut number = None;
    while let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(10)) {
        letters.next();
        let sum = number.unwrap_or(0) * 10 + digit as usize;
        if sum > WIDEST {
            return Err(format!("a number in the format is larger than {WIDEST}"));
        }
        number = Some(sum);
    }
    Ok(number)
}

impl Verb {
    fn apply(&self, mode: char, value: &Value) -> Result<String, String> {
        let text = match (mode, value) {
            ('v', Value::String(text)) if !self.sharp => self.cut(text),
            ('v', Value::Number(number)) => self.signed(number_text(*number)),
            ('v', other) => serde_json::to_string(other).map_err(|error| error.to_string())?,
            ('s', _) => self.cut(&self.text(value, mode)?),
            ('q', _) => serde_json::to_string(&self.text(value, mode)?).map_err(|error| error.to_string())?,
            ('t', _) => match convert(value.clone(), &Type::Flag)? {
                Value::Bool(flag) => flag.to_string(),
                _ => return Err("`%t` needs true or false".to_owned()),
            },
            ('d' | 'b' | 'o' | 'x' | 'X', _)
                if mode != 'x' && mode != 'X' || !matches!(value, Value::String(_)) =>
            {
                self.whole(mode, value)?
            }
            ('x', Value::String(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
            ('X', Value::String(text)) => text.bytes().map(|byte| format!("{byte:02X}")).collect(),
            ('e' | 'E' | 'f' | 'F' | 'g' | 'G', _) => self.real(mode, self.number(value, mode)?),
            _ => return Err(format!("`%{mode}` is no verb of a format")),
        };
        let missing = self.width.saturating_sub(text.chars().count());
        Ok(match (self.minus, self.zero && mode != 's' && mode != 'q' && mode != 'v') {
            (true, _) => text + &" ".repeat(missing),
            (false, true) => match text.strip_prefix(['-', '+']) {
                Some(rest) => format!("{}{}{rest}", &text[..1], "0".repeat(missing)),
                None => "0".repeat(missing) + &text,
            },
            (false, false) => " ".repeat(missing) + &text,
        })
    }

    fn cut(&self, text: &str) -> String {
        text.chars().take(self.precision.unwrap_or(usize::MAX)).collect()
    }

    fn text(&self, value: &Value, mode: char) -> Result<String, String> {
        match convert(value.clone(), &Type::Text)? {
            Value::String(text) => Ok(text),
            _ => Err(format!("`%{mode}` needs a string, not null")),
        }
    }

    fn number(&self, value: &Value, mode: char) -> Result<f64, String> {
        match convert(value.clone(), &Type::Number)? {
            Value::Number(number) => Ok(number),
            _ => Err(format!("`%{mode}` needs a number, not null")),
        }
    }

    fn signed(&self, text: String) -> String {
        match (text.starts_with('-'), self.plus, self.space) {
            (false, true, _) => format!("+{text}"),
            (false, false, true) => format!(" {text}"),
            _ => text,
        }
    }

    fn whole(&self, mode: char, value: &Value) -> Result<String, String> {
        let number = integer(self.number(value, mode)?).ok_or(format!("`%{mode}` needs a whole number"))?;
        let size = number.unsigned_abs();
        let text = match mode {
            'b' => format!("{size:b}"),
            'o' => format!("{size:o}"),
            'x' => format!("{size:x}"),
            'X' => format!("{size:X}"),
            _ => size.to_string(),
        };
        Ok(self.signed(if number < 0 { format!("-{text}") } else { text }))
    }

    /// The `%e`, `%f` and `%g` of Go.
    fn real(&self, mode: char, number: f64) -> String {
        let text = match mode {
            'f' | 'F' => format!("{number:.*}", self.precision.unwrap_or(6)),
            'e' | 'E' => {
                let text = format!("{number:.*e}", self.precision.unwrap_or(6));
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                scientific(mantissa, exponent.parse().unwrap_or(0))
            }
            _ => general(number, self.precision),
        };
        self.signed(if mode.is_ascii_uppercase() { text.to_uppercase() } else { text })
    }
}

fn scientific(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// A number with so many digits, or as few as tell it from others; with an exponent where it is very small or large.
fn general(number: f64, precision: Option<usize>) -> String {
    let most = precision.map(|digits| digits.max(1));
    let text = most.map_or_else(|| format!("{number:e}"), |digits| format!("{number:.*e}", digits - 1));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let all = mantissa.replace('.', "");
    let digits = Some(all.trim_end_matches('0')).filter(|digits| !digits.is_empty()).unwrap_or("0");
    // Places before the point. Where all digits stand before it, no more than those count.
    let before = usize::try_from(exponent + 1).unwrap_or(0);
    let widest = match most {
        None => 6,
        Some(most) if most > digits.len() && digits.len() >= before => digits.len(),
        Some(most) => most,
    };
    if exponent < -4 || before > widest {
        let (first, rest) = digits.split_at(1);
        let mantissa = if rest.is_empty() { first.to_owned() } else { format!("{first}.{rest}") };
        return format!("{sign}{}", scientific(&mantissa, exponent));
    }
    if exponent < 0 {
        let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
        return format!("{sign}0.{}{digits}", "0".repeat(zeros));
    }
    match digits.split_at_checked(before) {
        Some((whole, "")) => format!("{sign}{whole}"),
        Some((whole, part)) => format!("{sign}{whole}.{part}"),
        None => format!("{sign}{digits:0<before$}"),
    }
}
