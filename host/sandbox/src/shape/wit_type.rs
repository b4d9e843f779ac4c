//! WIT types as Fusebox needs them: unfolded once when a component is loaded, with both spellings of every name at hand.

use fusebox_engine::ports::sandbox::Spelling;
use std::fmt;
use wasmtime::component::Type;

/// Parts into which the types of one function may unfold. Shared WIT types unfold into trees, so that a small
/// component can name an enormous type; what a model reads in a schema is far below this.
const MOST_PARTS: usize = 10_000;

/// Bytes of a name that count as one part: long names that are shared unfold as types do.
const NAME_PART: usize = 64;

/// Nesting of one type, which bounds the recursion of everything that walks types or values.
const DEEPEST: usize = 100;

/// A name in both spellings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    kebab: Box<str>,
    /// `None` when it is spelled as in WIT.
    snake: Option<Box<str>>,
}

impl Name {
    pub(crate) fn new(kebab: &str) -> Self {
        let snake = kebab.contains('-').then(|| kebab.replace('-', "_").into());
        Self {
            kebab: kebab.into(),
            snake,
        }
    }

    /// As WIT has it.
    pub(crate) fn kebab(&self) -> &str {
        &self.kebab
    }

    /// As JSON has it that is printed in this spelling.
    pub(crate) fn spelled(&self, spelling: Spelling) -> &str {
        match (spelling, &self.snake) {
            (Spelling::Snake, Some(snake)) => snake,
            _ => &self.kebab,
        }
    }

    /// Whether a text spells this name, in either way.
    pub(crate) fn is(&self, text: &str) -> bool {
        *self.kebab == *text || self.snake.as_deref() == Some(text)
    }
}

/// A field of a record, or a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: Name,
    pub(crate) ty: WitType,
}

/// A case of a variant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Case {
    pub(crate) name: Name,
    pub(crate) ty: Option<WitType>,
}

/// The integer types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Integer {
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

impl Integer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::S8 => "s8",
            Self::U8 => "u8",
            Self::S16 => "s16",
            Self::U16 => "u16",
            Self::S32 => "s32",
            Self::U32 => "u32",
            Self::S64 => "s64",
            Self::U64 => "u64",
        }
    }
}

/// A type whose values JSON can express.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WitType {
    Bool,
    Integer(Integer),
    F32,
    F64,
    Char,
    String,
    /// `list<u8>`, which JSON writes as base64.
    Bytes,
    List(Box<WitType>),
    /// Key and value.
    Map(Box<(WitType, WitType)>),
    Record(Vec<Field>),
    Tuple(Vec<WitType>),
    Variant(Vec<Case>),
    Enum(Vec<Name>),
    Option(Box<WitType>),
    /// `ok` and `err`.
    Result(Box<(Option<WitType>, Option<WitType>)>),
    Flags(Vec<Name>),
}

/// Unfolds the types of one function.
pub(crate) struct Unfolding {
    parts: usize,
    path: Vec<String>,
}

impl Unfolding {
    pub(crate) fn new() -> Self {
        Self {
            parts: 0,
            path: Vec::new(),
        }
    }

    /// One type at the end of a named step.
    ///
    /// # Errors
    /// Why JSON cannot express it, and where.
    pub(crate) fn step(&mut self, step: &str, ty: &Type) -> Result<WitType, String> {
        self.path.push(step.to_owned());
        let unfolded = self.unfold(ty)?;
        self.path.pop();
        Ok(unfolded)
    }

    fn unfold(&mut self, ty: &Type) -> Result<WitType, String> {
        self.count(1)?;
        Ok(match ty {
            Type::Bool => WitType::Bool,
            Type::S8 => WitType::Integer(Integer::S8),
            Type::U8 => WitType::Integer(Integer::U8),
            Type::S16 => WitType::Integer(Integer::S16),
            Type::U16 => WitType::Integer(Integer::U16),
            Type::S32 => WitType::Integer(Integer::S32),
            Type::U32 => WitType::Integer(Integer::U32),
            Type::S64 => WitType::Integer(Integer::S64),
            Type::U64 => WitType::Integer(Integer::U64),
            Type::Float32 => WitType::F32,
            Type::Float64 => WitType::F64,
            Type::Char => WitType::Char,
            Type::String => WitType::String,
            Type::List(list) => match self.step("item", &list.ty())? {
                WitType::Integer(Integer::U8) => WitType::Bytes,
                item => WitType::List(Box::new(item)),
            },
            Type::Map(map) => {
                let key = self.step("key", &map.key())?;
                WitType::Map(Box::new((key, self.step("value", &map.value())?)))
            }
            Type::Record(record) => {
                let fields = record.fields().map(|field| {
                    let name = self.name(field.name)?;
                    let ty = self.step(field.name, &field.ty)?;
                    Ok(Field { name, ty })
                });
                WitType::Record(fields.collect::<Result<_, String>>()?)
            }
            Type::Tuple(tuple) => {
                let items = tuple.types().enumerate();
                let items = items.map(|(at, ty)| self.step(&at.to_string(), &ty));
                WitType::Tuple(items.collect::<Result<_, _>>()?)
            }
            Type::Variant(variant) => {
                let cases = variant.cases().map(|case| {
                    let name = self.name(case.name)?;
                    let ty = case.ty.map(|ty| self.step(case.name, &ty)).transpose()?;
                    Ok(Case { name, ty })
                });
                WitType::Variant(cases.collect::<Result<_, String>>()?)
            }
            Type::Enum(names) => WitType::Enum(self.names(names.names())?),
            Type::Flags(names) => WitType::Flags(self.names(names.names())?),
            Type::Option(option) => WitType::Option(Box::new(self.step("some", &option.ty())?)),
            Type::Result(result) => {
                let ok = result.ok().map(|ty| self.step("ok", &ty)).transpose()?;
                let err = result.err().map(|ty| self.step("err", &ty)).transpose()?;
                WitType::Result(Box::new((ok, err)))
            }
            Type::Own(_) | Type::Borrow(_) => return Err(self.inexpressible("a resource")),
            Type::Future(_) => return Err(self.inexpressible("a future")),
            Type::Stream(_) => return Err(self.inexpressible("a stream")),
            Type::ErrorContext => return Err(self.inexpressible("an error-context")),
            Type::FixedLengthList(_) => return Err(self.inexpressible("a list of fixed length")),
        })
    }

    fn names<'a>(&mut self, names: impl Iterator<Item = &'a str>) -> Result<Vec<Name>, String> {
        names.map(|name| self.name(name)).collect()
    }

    fn name(&mut self, name: &str) -> Result<Name, String> {
        self.count(1 + name.len() / NAME_PART)?;
        Ok(Name::new(name))
    }

    fn inexpressible(&self, what: &str) -> String {
        format!("`{}` is {what}, which JSON cannot express", self.path.join("."))
    }

    fn count(&mut self, parts: usize) -> Result<(), String> {
        self.parts += parts;
        if self.parts > MOST_PARTS {
            return Err(format!("its types unfold into more than {MOST_PARTS} parts"));
        }
        if self.path.len() > DEEPEST {
            return Err(format!("its types are nested more than {DEEPEST} deep"));
        }
        Ok(())
    }
}

/// The type as WIT text; named types are shown by what they are made of, because a component keeps no names of types.
impl fmt::Display for WitType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Integer(integer) => f.write_str(integer.name()),
            Self::F32 => f.write_str("f32"),
            Self::F64 => f.write_str("f64"),
            Self::Char => f.write_str("char"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("list<u8>"),
            Self::List(item) => write!(f, "list<{item}>"),
            Self::Map(map) => write!(f, "map<{}, {}>", map.0, map.1),
            Self::Record(fields) => {
                let field = |field: &Field| format!("{}: {}", field.name.kebab(), field.ty);
                write!(f, "record {{ {} }}", joined(fields, field))
            }
            Self::Tuple(items) => write!(f, "tuple<{}>", joined(items, WitType::to_string)),
            Self::Variant(cases) => {
                let case = |case: &Case| match &case.ty {
                    Some(ty) => format!("{}({ty})", case.name.kebab()),
                    None => case.name.kebab().to_owned(),
                };
                write!(f, "variant {{ {} }}", joined(cases, case))
            }
            Self::Enum(names) => write!(f, "enum {{ {} }}", joined(names, |name| name.kebab().to_owned())),
            Self::Option(some) => write!(f, "option<{some}>"),
            Self::Result(result) => match (&result.0, &result.1) {
                (None, None) => f.write_str("result"),
                (Some(ok), None) => write!(f, "result<{ok}>"),
                (None, Some(err)) => write!(f, "result<_, {err}>"),
                (Some(ok), Some(err)) => write!(f, "result<{ok}, {err}>"),
            },
            Self::Flags(names) => write!(f, "flags {{ {} }}", joined(names, |name| name.kebab().to_owned())),
        }
    }
}

fn joined<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(", ")
}
