//! Manifests, presets and the operator's file: text in, values out, every finding at once with its place.

pub mod diagnostic;
pub mod render;
pub mod units;
