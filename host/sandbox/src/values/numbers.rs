//! Numbers as they are written to numbers as WIT has them: exactly, never through a floating-point number.

use super::misfit::{Fit, misfit, short};
use crate::shape::wit_type::Integer;
use wasmtime::component::Val;

/// An integer of a JSON number: `3`, `3.0` and `30e-1` are the same one.
pub(super) fn integer(text: &str, ty: Integer) -> Fit<Val> {
    match exact(text) {
        Exact::Integer { negative, magnitude } => fitted(text, ty, negative, magnitude),
        Exact::Fraction => misfit(format!(
            "{} is no whole number, as {} needs one",
            short(text),
            ty.name()
        )),
        Exact::Huge => does_not_fit(text, ty),
    }
}

/// A 64-bit integer of a string, for those whose JSON numbers are floating-point ones.
pub(super) fn integer_of_string(text: &str, ty: Integer) -> Fit<Val> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (digits.len() > 1 && digits.starts_with('0')) {
        return misfit(format!("\"{}\" is not a whole number such as \"42\"", short(text)));
    }
    integer(text, ty)
}

fn fitted(text: &str, ty: Integer, negative: bool, magnitude: u64) -> Fit<Val> {
    let value = i128::from(magnitude);
    let value = if negative { -value } else { value };
    let fitted = match ty {
        Integer::S8 => value.try_into().map(Val::S8),
        Integer::U8 => value.try_into().map(Val::U8),
        Integer::S16 => value.try_into().map(Val::S16),
        Integer::U16 => value.try_into().map(Val::U16),
        Integer::S32 => value.try_into().map(Val::S32),
        Integer::U32 => value.try_into().map(Val::U32),
        Integer::S64 => value.try_into().map(Val::S64),
        Integer::U64 => value.try_into().map(Val::U64),
    };
    fitted.or_else(|_| does_not_fit(text, ty))
}

fn does_not_fit<T>(text: &str, ty: Integer) -> Fit<T> {
    misfit(format!("{} does not fit {}", short(text), ty.name()))
}

/// The integer that a JSON number stands for.
enum Exact {
    Integer {
        negative: bool,
        magnitude: u64,
    },
    Fraction,
    /// An integer of more than 64 bits.
    Huge,
}

fn exact(text: &str) -> Exact {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.len() < 20 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let magnitude = digits
            .bytes()
            .fold(0, |value, byte| value * 10 + u64::from(byte - b'0'));
        return Exact::Integer { negative, magnitude };
    }
    scaled(negative, digits)
}

/// Digits with a fraction or an exponent: `12.50e1` is 1250 · 10⁻¹, which is 125.
fn scaled(negative: bool, number: &str) -> Exact {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    let trailing = digits().rev().take_while(|digit| *digit == b'0').count();
    let significant = digits().count() - trailing;
    if significant == 0 {
        return Exact::Integer { negative, magnitude: 0 };
    }
    // An exponent beyond 64 bits cannot be made up for by any text that fits memory.
    let exponent = exponent
        .parse()
        .unwrap_or(if exponent.starts_with('-') { i64::MIN } else { i64::MAX });
    let length = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let zeros = exponent
        .saturating_sub(length(fraction.len()))
        .saturating_add(length(trailing));
    let Ok(zeros) = u64::try_from(zeros) else {
        return Exact::Fraction;
    };
    let times_ten = |value: u64| value.checked_mul(10);
    let add = |value: u64, digit: u8| times_ten(value)?.checked_add(u64::from(digit - b'0'));
    let magnitude = digits().take(significant).try_fold(0, add);
    // 10²⁰ is beyond 64 bits, so that longer rows of zeros need not be counted out.
    let magnitude = magnitude.and_then(|value| (0..zeros.min(20)).try_fold(value, |value, _| times_ten(value)));
    magnitude.map_or(Exact::Huge, |magnitude| Exact::Integer { negative, magnitude })
}

/// The nearest 64-bit floating-point number.
pub(super) fn f64_of(text: &str) -> Fit<Val> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Val::Float64(value)),
        _ => misfit(format!("{} does not fit f64", short(text))),
    }
}

/// The nearest 32-bit floating-point number, without a detour over 64 bits, which would round twice.
pub(super) fn f32_of(text: &str) -> Fit<Val> {
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(Val::Float32(value)),
        _ => misfit(format!("{} does not fit f32", short(text))),
    }
}

/// The floating-point numbers that JSON has no number for.
pub(super) fn float_of_string(text: &str) -> Fit<f64> {
    match text {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        _ => misfit(format!(
            "\"{}\" is not a number; write it without quotes, or \"NaN\", \"Infinity\" or \"-Infinity\"",
            short(text)
        )),
    }
}
