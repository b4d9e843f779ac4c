//! The forms that values have: what is expected, how text becomes a value, which code a mistake gets.

mod texts;

pub(crate) use texts::secret_of;

use crate::codes;
use crate::units::{self, NetworkRule, Problem, Url};
use fusebox_core::ids::Digest;
use fusebox_core::policy::{HeaderPart, Origin, RateLimit, RequestPattern};
use std::time::Duration;

/// What a key's value looks like. Parser, messages and JSON Schema are made from it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// Any text on one or more lines, not empty.
    Text,
    /// Any text, empty too.
    AnyText,
    /// The path of a file or folder.
    Path,
    /// A kebab-case name.
    Name,
    /// The name of a preset.
    Preset,
    /// An exported function: `query` or `iface.query`.
    Function,
    /// A tool, or one function of it: `search` or `search.query`.
    Grant,
    /// A function of a tool: `search.query`.
    Call,
    /// A name as WIT has them: of a parameter, or of a case of a variant.
    Label,
    /// A name towards models.
    ModelName,
    /// The name of an environment variable.
    Variable,
    /// The name of a secret.
    Secret,
    /// A version by semver.
    Version,
    /// A duration, zero allowed.
    Duration,
    /// A duration longer than zero.
    SomeDuration,
    /// Bytes.
    Size,
    /// Requests per period.
    Rate,
    /// A whole number from the first to the second.
    Count(u64, u64),
    /// A share above 0, up to 1.
    Share,
    /// Calls as a number, or a duration longer than zero.
    Window,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An origin.
    Host,
    /// A rule of `network.allow`.
    Rule,
    /// An address with a path.
    Url,
    /// Where a key is: a file, or `${secret:NAME}`.
    KeyPlace,
    /// A request pattern.
    Pattern,
    /// The name of a header.
    HeaderName,
    /// The value of a header, with secrets.
    HeaderValue,
    /// Where the component is.
    Component,
    /// The word `none`, or that form.
    OrNone(&'static Self),
    /// Text as the first form, or a table as the second.
    Either(&'static Self, &'static Shape),
    /// A list.
    List(&'static Self),
    /// A list that is not empty.
    SomeList(&'static Self),
    /// A table with keys and values of those forms.
    Map(&'static Self, &'static Self),
    /// A table with these keys.
    Table(&'static Shape),
}

/// The keys that a table may have.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What the table is, for messages and schemas.
    pub(crate) title: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [Key],
    /// Keys that it shares with another table.
    pub(crate) shared: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    /// Kebab-case name.
    pub(crate) name: &'static str,
    /// What its value looks like.
    pub(crate) form: Form,
    /// Whether it must be there.
    pub(crate) required: bool,
    /// What it is when it is not there, as it would be written; empty when that cannot be written.
    pub(crate) default: &'static str,
    /// What it means.
    pub(crate) doc: &'static str,
}

impl Shape {
    /// All keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static Key> + Clone + use<> {
        self.keys.iter().chain(self.shared)
    }

    /// The key of that name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }
}

/// Where a manifest's component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentRef {
    /// A file, relative to the manifest.
    File(String),
    /// A component that is deployed already.
    Digest(Digest),
    /// An image in a registry; not available in this version.
    Oci(String),
}

/// A value without parts, as read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Text(String),
    Duration(Duration),
    Number(u64),
    Share(f64),
    Rate(RateLimit),
    Origin(Origin),
    Rule(NetworkRule),
    Url(Url),
    Pattern(RequestPattern),
    Header(Vec<HeaderPart>),
    Component(ComponentRef),
    /// The word `none`.
    None,
}

/// A mistake in a value: its code, and what is wrong.
pub(crate) type Mistake = (&'static str, Problem);

impl Form {
    /// What is expected, as it stands in "expected …".
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Text | Self::AnyText => "a text".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Name => "a kebab-case name".to_owned(),
            Self::Preset => "the name of a preset".to_owned(),
            Self::Function => "the name of a function".to_owned(),
            Self::Grant => "a tool, or a tool and its function".to_owned(),
            Self::Call => "a tool and its function".to_owned(),
            Self::Label => "a name as WIT has them".to_owned(),
            Self::ModelName => "a name for models".to_owned(),
            Self::Variable => "the name of an environment variable".to_owned(),
            Self::Secret => "the name of a secret".to_owned(),
            Self::Version => "a version".to_owned(),
            Self::Duration | Self::SomeDuration => "a duration".to_owned(),
            Self::Size => "a size".to_owned(),
            Self::Rate => "a rate".to_owned(),
            Self::Count(..) => "a whole number".to_owned(),
            Self::Window => "a number of calls, or a duration".to_owned(),
            Self::Share => "a number above 0, up to 1".to_owned(),
            Self::Word(words) => format!(
                "one of {}",
                crate::suggest::list(words.iter().copied()).unwrap_or_default()
            ),
            Self::Host => "a host".to_owned(),
            Self::Rule => "a host, address or network".to_owned(),
            Self::Url => "an address".to_owned(),
            Self::KeyPlace => "a file, or `${secret:NAME}`".to_owned(),
            Self::Pattern => "a method and a path".to_owned(),
            Self::HeaderName => "the name of a header".to_owned(),
            Self::HeaderValue => "the value of a header".to_owned(),
            Self::Component => "a component".to_owned(),
            Self::OrNone(form) => format!("{}, or \"none\"", form.expected()),
            Self::Either(form, _) => format!("{}, or a table", form.expected()),
            Self::List(form) | Self::SomeList(form) => format!("a list, each item {}", form.expected()),
            Self::Map(..) | Self::Table(_) => "a table".to_owned(),
        }
    }

    /// A value that is right, as TOML.
    pub(crate) fn example(self) -> String {
        match self {
            Self::Text | Self::AnyText => "\"some text\"".to_owned(),
            Self::Path => "\"data/file\"".to_owned(),
            Self::Name => "\"search\"".to_owned(),
            Self::Preset => "\"idempotent\"".to_owned(),
            Self::Function => "\"query\"".to_owned(),
            Self::Grant => "\"search\"".to_owned(),
            Self::Call => "\"email.send\"".to_owned(),
            Self::Label => "\"not-found\"".to_owned(),
            Self::ModelName => "\"search_query\"".to_owned(),
            Self::Variable => "\"LOG_LEVEL\"".to_owned(),
            Self::Secret => "\"SEARCH_KEY\"".to_owned(),
            Self::Version => "\"1.2.0\"".to_owned(),
            Self::Duration | Self::SomeDuration => "\"5s\"".to_owned(),
            Self::Size => "\"64MiB\"".to_owned(),
            Self::Rate => "\"100/min\"".to_owned(),
            Self::Count(from, to) => from.max(5).min(to).to_string(),
            Self::Share => "0.5".to_owned(),
            Self::Window => "100".to_owned(),
            Self::Word(words) => format!("{:?}", words.first().copied().unwrap_or_default()),
            Self::Host => "\"api.search.example\"".to_owned(),
            Self::Rule => "\"10.0.0.0/8\"".to_owned(),
            Self::Url => "\"https://hooks.example/fusebox\"".to_owned(),
            Self::KeyPlace => "\"${secret:DATABASE_KEY}\"".to_owned(),
            Self::Pattern => "\"POST /v1/query\"".to_owned(),
            Self::HeaderName => "\"x-api-key\"".to_owned(),
            Self::HeaderValue => "\"Bearer ${secret:SEARCH_KEY}\"".to_owned(),
            Self::Component => "\"search.wasm\"".to_owned(),
            Self::OrNone(form) | Self::Either(form, _) => form.example(),
            Self::List(form) | Self::SomeList(form) => format!("[{}]", form.example()),
            Self::Map(key, value) => format!("{{ {} = {} }}", key.example(), value.example()),
            Self::Table(shape) => {
                let needed = shape.keys().filter(|key| key.required);
                let pairs: Vec<_> = needed
                    .map(|key| format!("{} = {}", key.name, key.form.example()))
                    .collect();
                match (pairs.is_empty(), shape.keys().next()) {
                    (true, Some(key)) => format!("{{ {} = {} }}", key.name, key.form.example()),
                    _ => format!("{{ {} }}", pairs.join(", ")),
                }
            }
        }
    }

    /// Whether text in quotes is how such a value is written.
    pub(crate) fn is_text(self) -> bool {
        !matches!(
            self,
            Self::Count(..) | Self::Share | Self::List(_) | Self::SomeList(_) | Self::Map(..) | Self::Table(_)
        )
    }

    /// The value that a text is.
    pub(crate) fn text(self, text: &str) -> Result<Scalar, Mistake> {
        let coded = |code: &'static str| move |problem: Problem| (code, problem);
        match self {
            Self::Text | Self::Path => texts::some_text(text).map_err(coded(codes::BAD_TEXT)),
            Self::AnyText => Ok(Scalar::Text(text.to_owned())),
            Self::Name | Self::Preset => units::kebab(text).map(Scalar::Text).map_err(coded(codes::BAD_NAME)),
            Self::Function => texts::function_name(text)
                .map(Scalar::Text)
                .map_err(coded(codes::BAD_NAME)),
            Self::Grant => texts::grant(text).map(Scalar::Text).map_err(coded(codes::BAD_NAME)),
            Self::Call => texts::call(text).map(Scalar::Text).map_err(coded(codes::BAD_NAME)),
            Self::Label => texts::label(text).map(Scalar::Text).map_err(coded(codes::BAD_NAME)),
            Self::ModelName => texts::model_name(text)
                .map(Scalar::Text)
                .map_err(coded(codes::BAD_NAME)),
            Self::Variable => units::env_name(text).map(Scalar::Text).map_err(coded(codes::BAD_NAME)),
            Self::Secret => units::secret_name(text)
                .map(Scalar::Text)
                .map_err(coded(codes::BAD_NAME)),
            Self::Version => units::version(text)
                .map(Scalar::Text)
                .map_err(coded(codes::BAD_VERSION)),
            Self::Duration => units::duration(text)
                .map(Scalar::Duration)
                .map_err(coded(codes::BAD_DURATION)),
            Self::SomeDuration => units::some_duration(text)
                .map(Scalar::Duration)
                .map_err(coded(codes::BAD_DURATION)),
            Self::Size => units::size(text).map(Scalar::Number).map_err(coded(codes::BAD_SIZE)),
            Self::Rate => units::rate(text).map(Scalar::Rate).map_err(coded(codes::BAD_RATE)),
            Self::Host => units::origin(text).map(Scalar::Origin).map_err(coded(codes::BAD_HOST)),
            Self::Rule => units::network_rule(text)
                .map(Scalar::Rule)
                .map_err(coded(codes::BAD_NETWORK_RULE)),
            Self::Url => units::url(text).map(Scalar::Url).map_err(coded(codes::BAD_HOST)),
            Self::KeyPlace => texts::key_place(text),
            Self::Pattern => units::request_pattern(text)
                .map(Scalar::Pattern)
                .map_err(coded(codes::BAD_PATTERN)),
            Self::HeaderName => units::header_name(text)
                .map(Scalar::Text)
                .map_err(coded(codes::BAD_HEADER)),
            Self::HeaderValue => units::header_value(text)
                .map(Scalar::Header)
                .map_err(coded(codes::BAD_HEADER)),
            Self::Component => texts::component(text)
                .map(Scalar::Component)
                .map_err(coded(codes::BAD_COMPONENT)),
            Self::Word(words) => texts::word(text, words).map_err(coded(codes::UNKNOWN_WORD)),
            Self::Window => units::some_duration(text)
                .map(Scalar::Duration)
                .map_err(coded(codes::BAD_DURATION)),
            Self::OrNone(_) if text == "none" => Ok(Scalar::None),
            Self::OrNone(form) | Self::Either(form, _) => self.widen(form.text(text), text),
            Self::Count(..) => match texts::plain_number(text) {
                Some(number) => self.number(number),
                None => Err(self.not_such(text)),
            },
            Self::Share => match text.parse() {
                Ok(share) => self.share(share),
                Err(_) => Err(self.not_such(text)),
            },
            Self::List(_) | Self::SomeList(_) | Self::Map(..) | Self::Table(_) => Err(self.not_such(text)),
        }
    }

    /// The value that a whole number is.
    pub(crate) fn number(self, number: u64) -> Result<Scalar, Mistake> {
        match self {
            Self::Count(from, to) if (from..=to).contains(&number) => Ok(Scalar::Number(number)),
            Self::Count(from, to) => Err((
                codes::OUT_OF_RANGE,
                Problem::new(
                    format!("{number} is out of range"),
                    format!("write a whole number from {from} to {to}"),
                ),
            )),
            Self::Size => self.text(&number.to_string()),
            Self::Window => Self::Count(1, 1_000_000).number(number),
            Self::OrNone(form) | Self::Either(form, _) => self.widen(form.number(number), &number.to_string()),
            // A share of all is as easily written `1` as `1.0`.
            Self::Share => self.share(if number == 1 {
                1.0
            } else {
                f64::from(u32::try_from(number).unwrap_or(u32::MAX))
            }),
            _ => Err(self.not_such(&number.to_string())),
        }
    }

    /// The value that a number with a fraction is.
    pub(crate) fn share(self, share: f64) -> Result<Scalar, Mistake> {
        match self {
            Self::Share if share > 0.0 && share <= 1.0 => Ok(Scalar::Share(share)),
            Self::Share => Err((
                codes::OUT_OF_RANGE,
                Problem::new(
                    format!("{share} is out of range"),
                    "write a number above 0, up to 1, such as 0.5",
                ),
            )),
            Self::OrNone(form) | Self::Either(form, _) => self.widen(form.share(share), &share.to_string()),
            _ => Err(self.not_such(&share.to_string())),
        }
    }

    /// The result of an inner form; what it expected of a value of another type is not all that is right.
    fn widen(self, inner: Result<Scalar, Mistake>, shown: &str) -> Result<Scalar, Mistake> {
        inner.map_err(|mistake| {
            if mistake.0 == codes::WRONG_TYPE {
                self.not_such(shown)
            } else {
                mistake
            }
        })
    }

    /// The mistake of a value of another type.
    pub(crate) fn not_such(self, shown: &str) -> Mistake {
        let shown = units::short(shown);
        (
            codes::WRONG_TYPE,
            Problem::new(
                format!("{shown} is not {}", self.expected()),
                format!("write it like {}", self.example()),
            ),
        )
    }
}
