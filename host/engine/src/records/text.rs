//! Serializes a value by its text form, so that a reader of the JSON needs no key to it.

use serde::{Deserialize as _, Deserializer, Serializer};
use std::fmt::Display;
use std::str::FromStr;

/// Writes the text form.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// Reads the text form.
///
/// # Errors
/// Text that is no such value.
pub fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: Display,
    D: Deserializer<'de>,
{
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}
