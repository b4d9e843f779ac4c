//! Values to JSON text, led by the types: straight into one string, up to the output limit.

use super::writer::Writer;
use crate::fingerprint;
use crate::shape::wit_type::{Case, Field, Name, WitType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fusebox_engine::ports::sandbox::Spelling;
use wasmtime::component::Val;

/// How a function returned.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Returned {
    /// Its value; `null` when it returns nothing.
    Ok {
        /// JSON text.
        json: String,
    },
    /// The error of a function whose result type is `result`.
    Err {
        /// Case of the error, as WIT spells it, when its type is a variant or an enum.
        case: Option<String>,
        /// JSON text.
        json: String,
    },
}

/// Why a value was not written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodeError {
    /// The JSON text is longer than the output limit.
    #[error("its JSON takes more than the {limit} bytes of `limits.output`")]
    TooLarge {
        /// Bytes.
        limit: u64,
    },
    /// The value is not of its type, which the runtime rules out.
    #[error("a value of the type {0} was promised, and another came")]
    Mismatch(String),
}

/// Writes what a function returned; `limit` is in bytes of JSON text.
///
/// # Errors
/// [`EncodeError`].
pub(crate) fn encode(
    ty: Option<&WitType>,
    returned: Option<&Val>,
    spelling: Spelling,
    limit: u64,
) -> Result<Returned, EncodeError> {
    let text = |ty: Option<&WitType>, val: Option<&Val>| {
        let mut encoder = Encoder {
            out: Writer::new(limit),
            spelling,
        };
        encoder.optional(ty, val)?;
        Ok(encoder.out.finish())
    };
    match (ty, returned) {
        (Some(WitType::Result(result)), Some(Val::Result(Err(err)))) => {
            let case = match err.as_deref() {
                Some(Val::Variant(case, _) | Val::Enum(case)) => Some(case.clone()),
                _ => None,
            };
            let json = text(result.1.as_ref(), err.as_deref())?;
            Ok(Returned::Err { case, json })
        }
        (Some(WitType::Result(result)), Some(Val::Result(Ok(ok)))) => {
            let json = text(result.0.as_ref(), ok.as_deref())?;
            Ok(Returned::Ok { json })
        }
        _ => Ok(Returned::Ok {
            json: text(ty, returned)?,
        }),
    }
}

/// Writes arguments as a JSON object with a property for each parameter, spelled as in WIT; `limit` is in bytes of JSON text.
///
/// # Errors
/// [`EncodeError`].
pub(crate) fn encode_arguments(params: &[Field], values: &[Val], limit: u64) -> Result<String, EncodeError> {
    if params.len() != values.len() {
        return Err(EncodeError::Mismatch("the parameters".to_owned()));
    }
    let mut encoder = Encoder {
        out: Writer::new(limit),
        spelling: Spelling::Kebab,
    };
    encoder.fields(params.iter().zip(values))?;
    Ok(encoder.out.finish())
}

struct Encoder {
    out: Writer,
    spelling: Spelling,
}

type Done = Result<(), EncodeError>;

impl Encoder {
    fn value(&mut self, ty: &WitType, val: &Val) -> Done {
        match (ty, val) {
            (WitType::Bool, Val::Bool(value)) => self.out.raw(if *value { "true" } else { "false" }),
            (WitType::Integer(_), Val::S8(value)) => self.out.number(value),
            (WitType::Integer(_), Val::U8(value)) => self.out.number(value),
            (WitType::Integer(_), Val::S16(value)) => self.out.number(value),
            (WitType::Integer(_), Val::U16(value)) => self.out.number(value),
            (WitType::Integer(_), Val::S32(value)) => self.out.number(value),
            (WitType::Integer(_), Val::U32(value)) => self.out.number(value),
            (WitType::Integer(_), Val::S64(value)) => self.out.number(value),
            (WitType::Integer(_), Val::U64(value)) => self.out.number(value),
            (WitType::F32, Val::Float32(value)) if value.is_finite() => self.out.number(Shortest(value)),
            (WitType::F32, Val::Float32(value)) => self.not_finite(f64::from(*value)),
            (WitType::F64, Val::Float64(value)) if value.is_finite() => self.out.number(Shortest(value)),
            (WitType::F64, Val::Float64(value)) => self.not_finite(*value),
            (WitType::Char, Val::Char(scalar)) => self.out.string(scalar.encode_utf8(&mut [0; 4])),
            (WitType::String, Val::String(text)) => self.out.string(text),
            (WitType::Bytes, Val::List(items)) => self.bytes(items),
            (WitType::List(item), Val::List(items)) => self.array(items, |this, val| this.value(item, val)),
            (WitType::Map(map), Val::Map(entries)) => self.map(&map.0, &map.1, entries),
            (WitType::Record(fields), Val::Record(values)) if fields.len() == values.len() => {
                self.record(fields, values)
            }
            (WitType::Tuple(types), Val::Tuple(items)) if types.len() == items.len() => {
                let items = types.iter().zip(items);
                self.array(items, |this, (ty, val)| this.value(ty, val))
            }
            (WitType::Variant(cases), Val::Variant(case, carried)) => self.variant(cases, case, carried.as_deref()),
            (WitType::Enum(names), Val::Enum(case)) => self.named(ty, names, case),
            (WitType::Option(_), Val::Option(None)) => self.out.raw("null"),
            (WitType::Option(some), Val::Option(Some(val))) => self.some(some, val),
            (WitType::Result(result), Val::Result(Ok(ok))) => self.tagged("ok", result.0.as_ref(), ok.as_deref()),
            (WitType::Result(result), Val::Result(Err(err))) => self.tagged("err", result.1.as_ref(), err.as_deref()),
            (WitType::Flags(names), Val::Flags(set)) => self.array(set, |this, flag| this.named(ty, names, flag)),
            _ => mismatch(ty),
        }
    }

    fn optional(&mut self, ty: Option<&WitType>, val: Option<&Val>) -> Done {
        match (ty, val) {
            (Some(ty), Some(val)) => self.value(ty, val),
            (None, None) => self.out.raw("null"),
            (Some(ty), None) => mismatch(ty),
            (None, Some(_)) => Err(EncodeError::Mismatch("nothing".to_owned())),
        }
    }

    fn not_finite(&mut self, value: f64) -> Done {
        self.out.raw(if value.is_nan() {
            "\"NaN\""
        } else if value > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        })
    }

    fn bytes(&mut self, items: &[Val]) -> Done {
        self.out.room(items.len().div_ceil(3).saturating_mul(4))?;
        self.out.raw("\"")?;
        // A multiple of three, so that the pieces join without padding between.
        let mut piece = [0; 768];
        let mut text = [0; 1024];
        for items in items.chunks(piece.len()) {
            for (byte, item) in piece.iter_mut().zip(items) {
                let Val::U8(value) = item else {
                    return mismatch(&WitType::Bytes);
                };
                *byte = *value;
            }
            let written = STANDARD.encode_slice(&piece[..items.len()], &mut text);
            let written = written
                .ok()
                .and_then(|length| std::str::from_utf8(&text[..length]).ok());
            let Some(written) = written else {
                return mismatch(&WitType::Bytes);
            };
            self.out.raw(written)?;
        }
        self.out.raw("\"")
    }

    fn array<T>(&mut self, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T) -> Done) -> Done {
        self.out.raw("[")?;
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                self.out.raw(",")?;
            }
            write(self, item)?;
        }
        self.out.raw("]")
    }

    /// An object where the key is a string, a list of pairs otherwise. Of a key that the guest gives twice the last
    /// value counts, as the canonical ABI has it.
    fn map(&mut self, key: &WitType, value: &WitType, entries: &[(Val, Val)]) -> Done {
        let overridden = fingerprint::overridden(entries);
        let entries = entries
            .iter()
            .enumerate()
            .filter(|(at, _)| overridden.binary_search(at).is_err());
        let entries = entries.map(|(_, entry)| entry);
        if *key != WitType::String {
            return self.array(entries, |this, (key_val, val)| {
                this.out.raw("[")?;
                this.value(key, key_val)?;
                this.out.raw(",")?;
                this.value(value, val)?;
                this.out.raw("]")
            });
        }
        self.out.raw("{")?;
        for (at, (key_val, val)) in entries.enumerate() {
            if at > 0 {
                self.out.raw(",")?;
            }
            self.value(key, key_val)?;
            self.out.raw(":")?;
            self.value(value, val)?;
        }
        self.out.raw("}")
    }

    fn record(&mut self, fields: &[Field], values: &[(String, Val)]) -> Done {
        self.fields(fields.iter().zip(values.iter().map(|(_, val)| val)))
    }

    fn fields<'a>(&mut self, fields: impl Iterator<Item = (&'a Field, &'a Val)>) -> Done {
        self.out.raw("{")?;
        for (at, (field, val)) in fields.enumerate() {
            if at > 0 {
                self.out.raw(",")?;
            }
            self.out.name(field.name.spelled(self.spelling))?;
            self.out.raw(":")?;
            self.value(&field.ty, val)?;
        }
        self.out.raw("}")
    }

    fn variant(&mut self, cases: &[Case], name: &str, carried: Option<&Val>) -> Done {
        let case = cases.iter().find(|case| case.name.kebab() == name);
        let Some(case) = case else {
            return Err(EncodeError::Mismatch(format!("variant without the case {name}")));
        };
        let name = case.name.spelled(self.spelling);
        match &case.ty {
            Some(_) => self.tagged(name, case.ty.as_ref(), carried),
            None => self.out.name(name),
        }
    }

    fn tagged(&mut self, name: &str, ty: Option<&WitType>, carried: Option<&Val>) -> Done {
        self.out.raw("{")?;
        self.out.name(name)?;
        self.out.raw(":")?;
        self.optional(ty, carried)?;
        self.out.raw("}")
    }

    fn some(&mut self, some: &WitType, val: &Val) -> Done {
        match some {
            WitType::Option(_) => self.tagged("some", Some(some), Some(val)),
            _ => self.value(some, val),
        }
    }

    fn named(&mut self, ty: &WitType, names: &[Name], name: &str) -> Done {
        match names.iter().find(|known| known.kebab() == name) {
            Some(known) => self.out.name(known.spelled(self.spelling)),
            None => mismatch(ty),
        }
    }
}

/// The shortest decimal that reads back as the same number; with an exponent where digits would be many.
struct Shortest<T>(T);

impl<T: std::fmt::Debug> std::fmt::Display for Shortest<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.0, f)
    }
}

fn mismatch<T>(ty: &WitType) -> Result<T, EncodeError> {
    Err(EncodeError::Mismatch(ty.to_string()))
}
