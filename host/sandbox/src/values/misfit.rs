//! Why a JSON text does not fit a type, with the path to the place.

use std::fmt;

/// What is wrong, and where: `query.filters[2].max: 300 does not fit u8`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Steps from the place outwards: they are added as the decoder returns, so that a fitting value pays nothing.
    steps: Vec<Step>,
    message: String,
    exhausted: bool,
}

impl Misfit {
    /// Whether the type is not to blame, but that the value would take more of the host's memory than it may.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted
    }
}

/// One step of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Into a field, a parameter or a case, or to the value of a key.
    Name(String),
    /// Into a list or a tuple.
    Index(usize),
}

/// Boxed, because a fitting value is returned far more often.
pub(super) type Fit<T> = Result<T, Box<Misfit>>;

/// A misfit at the place that is being decoded.
pub(super) fn misfit<T>(message: impl Into<String>) -> Fit<T> {
    Err(Box::new(Misfit {
        steps: Vec::new(),
        message: message.into(),
        exhausted: false,
    }))
}

/// What is decoded would take more of the host's memory than it may.
pub(super) fn exhausted<T>(message: String) -> Fit<T> {
    Err(Box::new(Misfit {
        steps: Vec::new(),
        message,
        exhausted: true,
    }))
}

/// Says where a misfit is, one step further outwards.
pub(super) trait Inside<T> {
    fn inside(self, name: &str) -> Fit<T>;
    fn at(self, index: usize) -> Fit<T>;
}

impl<T> Inside<T> for Fit<T> {
    fn inside(self, name: &str) -> Self {
        self.map_err(|mut misfit| {
            misfit.steps.push(Step::Name(short(name)));
            misfit
        })
    }

    fn at(self, index: usize) -> Self {
        self.map_err(|mut misfit| {
            misfit.steps.push(Step::Index(index));
            misfit
        })
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().rev().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) if !plain(name) => write!(f, "[{name:?}]")?,
                Step::Name(name) if at == 0 => f.write_str(name)?,
                Step::Name(name) => write!(f, ".{name}")?,
            }
        }
        if !self.steps.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

fn plain(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'%');
    !name.is_empty() && name.bytes().all(word)
}

/// Enough of a text to recognise it by: what was given may be of any length.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The name that was probably meant, as a clause to append; otherwise the names that there are.
pub(super) fn advice<'a>(wrong: &str, names: impl Iterator<Item = &'a str> + Clone, kind: &str) -> String {
    let wrong = short(wrong).replace('_', "-");
    let close = names
        .clone()
        .map(|name| (strsim::damerau_levenshtein(&wrong, name), name));
    match close.min() {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => format!("; did you mean `{name}`?"),
        Some(_) => {
            let some = names.clone().take(12).map(|name| format!("`{name}`"));
            let more = if names.count() > 12 { ", …" } else { "" };
            format!("; {kind}: {}{more}", some.collect::<Vec<_>>().join(", "))
        }
        None => String::new(),
    }
}
