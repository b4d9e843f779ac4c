//! Serializes an optional value by its text form, or as null.

use serde::{Deserialize as _, Deserializer, Serializer};
use std::fmt::Display;
use std::str::FromStr;

/// Writes the text form, or null.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<T: Display, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}

/// Reads the text form, or null.
///
/// # Errors
/// Text that is no such value.
pub fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: FromStr,
    T::Err: Display,
    D: Deserializer<'de>,
{
    Option::<String>::deserialize(from)?
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .transpose()
}
