//! `!`, `-`, arithmetic, comparison and logic.

use hcl_edit::Span;
use hcl_edit::expr::{BinaryOp, BinaryOperator, Expression, UnaryOp, UnaryOperator};

use super::{Evaluated, Evaluator, Scope, deferred_fault, types};
use crate::Value;
use crate::deferred;
use crate::session::Fault;

pub(super) fn finite(number: f64) -> Evaluated {
    if number.is_finite() { Ok(Value::Number(number)) } else { Err(Fault::new("the number is out of range")) }
}

impl Evaluator<'_> {
    pub(super) fn unary(&self, operation: &UnaryOp, scope: &Scope<'_>) -> Evaluated {
        match operation.operator.value() {
            UnaryOperator::Not => {
                let (flag, sensitive) = self.condition(&operation.expr, scope, "what `!` stands before")?;
                Ok(marked(Value::Bool(!flag), sensitive))
            }
            UnaryOperator::Neg => {
                let (number, sensitive) = self.operand(&operation.expr, scope, "-")?;
                Ok(marked(finite(-number)?, sensitive))
            }
        }
    }

    pub(super) fn binary(&self, operation: &BinaryOp, scope: &Scope<'_>) -> Evaluated {
        let operator = *operation.operator.value();
        match operator {
            BinaryOperator::And | BinaryOperator::Or => {
                let what = format!("a side of `{}`", operator.as_str());
                let (left, hidden) = self.condition(&operation.lhs_expr, scope, &what)?;
                if left == (operator == BinaryOperator::Or) {
                    return Ok(marked(Value::Bool(left), hidden));
                }
                let (right, also_hidden) = self.condition(&operation.rhs_expr, scope, &what)?;
                Ok(marked(Value::Bool(right), hidden || also_hidden))
            }
            BinaryOperator::Eq | BinaryOperator::NotEq => {
                let (left, hidden) = self.evaluate(&operation.lhs_expr, scope)?.unmark();
                let (right, also_hidden) = self.evaluate(&operation.rhs_expr, scope)?.unmark();
                if deferred::is_in_value(&left) || deferred::is_in_value(&right) {
                    return Err(deferred_fault("a comparison"));
                }
                let equal = (left == right) == (operator == BinaryOperator::Eq);
                Ok(marked(Value::Bool(equal), hidden || also_hidden))
            }
            _ => {
                let (left, hidden) = self.operand(&operation.lhs_expr, scope, operator.as_str())?;
                let (right, also_hidden) = self.operand(&operation.rhs_expr, scope, operator.as_str())?;
                Ok(marked(arithmetic(left, operator, right)?, hidden || also_hidden))
            }
        }
    }

    /// A number, and whether it is sensitive.
    fn operand(
        &self,
        expression: &Expression,
        scope: &Scope<'_>,
        operator: &str,
    ) -> Result<(f64, bool), Fault> {
        let (value, sensitive) = self.evaluate(expression, scope)?.unmark();
        match types::number(&value) {
            Some(number) => Ok((number, sensitive)),
            None if deferred::is_in_value(&value) => {
                Err(deferred_fault("a calculation").at(expression.span()))
            }
            None => {
                let fault = Fault::new(format!("`{operator}` works on numbers, not on {}", value.kind()));
                let hint = (operator == "+" && matches!(value, Value::String(_)))
                    .then(|| "strings are put together as in \"${a}${b}\"".to_owned());
                Err(fault.hint(hint).at(expression.span()))
            }
        }
    }
}

fn marked(value: Value, sensitive: bool) -> Value {
    if sensitive { value.sensitive() } else { value }
}

fn arithmetic(left: f64, operator: BinaryOperator, right: f64) -> Evaluated {
    let number = match operator {
        BinaryOperator::Plus => left + right,
        BinaryOperator::Minus => left - right,
        BinaryOperator::Mul => left * right,
        BinaryOperator::Div | BinaryOperator::Mod if right == 0.0 => {
            return Err(Fault::new("division by zero"));
        }
        BinaryOperator::Div => left / right,
        BinaryOperator::Mod => left % right,
        BinaryOperator::Less => return Ok(Value::Bool(left < right)),
        BinaryOperator::LessEq => return Ok(Value::Bool(left <= right)),
        BinaryOperator::Greater => return Ok(Value::Bool(left > right)),
        BinaryOperator::GreaterEq => return Ok(Value::Bool(left >= right)),
        BinaryOperator::Eq | BinaryOperator::NotEq | BinaryOperator::And | BinaryOperator::Or => {
            return Err(Fault::new(format!("`{}` is no calculation", operator.as_str())));
        }
    };
    finite(number)
}
