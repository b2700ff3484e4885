//! Functions of numbers.

use super::{Call, Function, MANY};
use crate::Value;
use crate::evaluate::Evaluated;
use crate::session::Fault;

pub(super) const FUNCTIONS: &[Function] = &[
    ("abs", 1, 1, |call| finite(call.number(0)?.abs())),
    ("ceil", 1, 1, |call| finite(call.number(0)?.ceil())),
    ("floor", 1, 1, |call| finite(call.number(0)?.floor())),
    ("log", 2, 2, |call| finite(call.number(0)?.log(call.number(1)?))),
    ("max", 1, MANY, |call| fold(call, f64::max)),
    ("min", 1, MANY, |call| fold(call, f64::min)),
    ("parseint", 2, 2, parse_int),
    ("pow", 2, 2, |call| finite(call.number(0)?.powf(call.number(1)?))),
    ("signum", 1, 1, |call| {
        let number = call.number(0)?;
        finite(if number == 0.0 { 0.0 } else { number.signum() })
    }),
    ("sum", 1, 1, |call| {
        let mut sum = 0.0;
        for value in call.list(0)? {
            match value {
                Value::Number(number) => sum += number,
                _ => return Err(call.wrong(0, "a list of numbers")),
            }
        }
        finite(sum)
    }),
];

fn finite(number: f64) -> Evaluated {
    if number.is_finite() { Ok(Value::Number(number)) } else { Err("the result is no finite number".into()) }
}

fn fold(call: &Call<'_>, pick: fn(f64, f64) -> f64) -> Evaluated {
    let mut result = call.number(0)?;
    for index in 1..call.len() {
        result = pick(result, call.number(index)?);
    }
    finite(result)
}

fn parse_int(call: &Call<'_>) -> Evaluated {
    let base = u32::try_from(call.integer(1)?).ok().filter(|base| (2..=36).contains(base));
    let base = base.ok_or_else(|| Fault::new("the base has to be between 2 and 36"))?;
    let text = call.text(0)?;
    let number = i64::from_str_radix(&text, base);
    let number = number.map_err(|_| Fault::new(format!("`{text}` is no whole number to base {base}")))?;
    finite(number as f64)
}
