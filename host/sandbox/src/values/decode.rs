//! JSON text to values in one pass, led by the types: no tree between, and nothing is allocated beyond the budget.

use super::budget::Budget;
use super::misfit::{Fit, Inside, misfit, short};
use super::numbers;
use super::reader::{Kind, Reader};
use crate::fingerprint;
use crate::shape::wit_type::{Field, Integer, Name, WitType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::mem::size_of;
use wasmtime::component::Val;

mod named;

/// A JSON text that is being decoded.
pub(super) struct Decoder<'a> {
    reader: Reader<'a>,
    budget: Budget,
}

impl<'a> Decoder<'a> {
    /// The values of all parameters, in their order, and the bytes that they take; empty text stands for none.
    pub(super) fn arguments(json: &'a str, params: &[Field], host_memory: u64) -> Fit<(Vec<Val>, u64)> {
        let mut decoder = Self {
            reader: Reader::new(json),
            budget: Budget::new(host_memory),
        };
        let values = decoder.properties(params)?;
        Ok((values, host_memory.saturating_sub(decoder.budget.left())))
    }

    fn properties(&mut self, params: &[Field]) -> Fit<Vec<Val>> {
        if self.reader.is_empty() {
            return self.absent(params, "parameter");
        }
        if self.reader.peek()? != Kind::Object {
            let found = self.found()?;
            return misfit(format!(
                "the arguments are a JSON object with a property for each parameter, not {found}"
            ));
        }
        let values = self.fields(params, "parameter")?;
        self.reader.end()?;
        Ok(values)
    }

    /// One value; of nothing, `null`.
    pub(super) fn single(json: &'a str, ty: Option<&WitType>, host_memory: u64) -> Fit<Option<Val>> {
        let mut decoder = Self {
            reader: Reader::new(json),
            budget: Budget::new(host_memory),
        };
        let value = match ty {
            Some(ty) => Some(decoder.value(ty)?),
            None => {
                decoder.expect(Kind::Null, "null")?;
                decoder.reader.null()?;
                None
            }
        };
        decoder.reader.end()?;
        Ok(value)
    }

    fn value(&mut self, ty: &WitType) -> Fit<Val> {
        match ty {
            WitType::Bool => {
                self.expect(Kind::Bool, ty)?;
                Ok(Val::Bool(self.reader.boolean()?))
            }
            WitType::Integer(integer) => self.integer(*integer),
            WitType::F32 => match self.number_or_string(ty)? {
                Written::Number(text) => numbers::f32_of(text),
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "NaN and the infinities are the same in both"
                )]
                Written::String(text) => Ok(Val::Float32(numbers::float_of_string(&text)? as f32)),
            },
            WitType::F64 => match self.number_or_string(ty)? {
                Written::Number(text) => numbers::f64_of(text),
                Written::String(text) => Ok(Val::Float64(numbers::float_of_string(&text)?)),
            },
            WitType::Char => self.character(),
            WitType::String => {
                self.expect(Kind::String, ty)?;
                Ok(Val::String(self.text()?))
            }
            WitType::Bytes => self.bytes(),
            WitType::List(item) => self.list(item),
            WitType::Map(map) => self.map(&map.0, &map.1),
            WitType::Record(fields) => self.record(fields),
            WitType::Tuple(items) => self.tuple(items),
            WitType::Variant(cases) => self.variant(cases),
            WitType::Enum(names) => self.enumeration(names),
            WitType::Option(some) => self.option(some),
            WitType::Result(result) => self.result(result.0.as_ref(), result.1.as_ref()),
            WitType::Flags(names) => self.flags(names),
        }
    }

    fn integer(&mut self, integer: Integer) -> Fit<Val> {
        let ty = WitType::Integer(integer);
        if !matches!(integer, Integer::S64 | Integer::U64) {
            self.expect(Kind::Number, &ty)?;
            return numbers::integer(self.reader.number()?, integer);
        }
        match self.number_or_string(&ty)? {
            Written::Number(text) => numbers::integer(text, integer),
            Written::String(text) => numbers::integer_of_string(&text, integer),
        }
    }

    fn character(&mut self) -> Fit<Val> {
        self.expect(Kind::String, &WitType::Char)?;
        let text = self.reader.string()?;
        let mut scalars = text.chars();
        match (scalars.next(), scalars.next()) {
            (Some(scalar), None) => Ok(Val::Char(scalar)),
            _ => misfit(format!(
                "{:?} is not one character (Unicode scalar value)",
                short(&text)
            )),
        }
    }

    fn bytes(&mut self) -> Fit<Val> {
        self.expect(Kind::String, &WitType::Bytes)?;
        let text = self.reader.string()?;
        let most = text.len() / 4 * 3;
        self.budget.take(most.saturating_mul(1 + size_of::<Val>()))?;
        match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Val::List(bytes.into_iter().map(Val::U8).collect())),
            Err(_) if text.contains(['-', '_']) => {
                misfit("it is base64 in the URL-safe alphabet; write `+` for `-` and `/` for `_`")
            }
            Err(_) if text.len() % 4 != 0 && text.bytes().all(|byte| byte != b'=') => {
                misfit("its base64 lacks the padding `=` at the end")
            }
            Err(error) => misfit(format!("a list<u8> is written as base64: {error}")),
        }
    }

    fn list(&mut self, item: &WitType) -> Fit<Val> {
        self.expect(Kind::Array, "a list")?;
        let mut open = self.reader.open(b'[')?;
        let mut items = Vec::new();
        while self.reader.item(&mut open)? {
            self.budget.grow(&mut items).at(items.len())?;
            let value = self.value(item).at(items.len())?;
            items.push(value);
        }
        Ok(Val::List(items))
    }

    fn tuple(&mut self, types: &[WitType]) -> Fit<Val> {
        self.expect(Kind::Array, "a tuple")?;
        self.budget.take(types.len() * size_of::<Val>())?;
        let mut items = Vec::with_capacity(types.len());
        let mut open = self.reader.open(b'[')?;
        while self.reader.item(&mut open)? {
            let Some(ty) = types.get(items.len()) else {
                return misfit(format!("it has more than the {} items of its tuple", types.len()));
            };
            let value = self.value(ty).at(items.len())?;
            items.push(value);
        }
        if items.len() < types.len() {
            return misfit(format!(
                "it has {} of the {} items of its tuple",
                items.len(),
                types.len()
            ));
        }
        Ok(Val::Tuple(items))
    }

    /// An object where the key is a string, a list of pairs otherwise.
    fn map(&mut self, key: &WitType, value: &WitType) -> Fit<Val> {
        let mut entries: Vec<(Val, Val)> = Vec::new();
        if *key == WitType::String {
            self.expect(Kind::Object, "a map")?;
            let mut open = self.reader.open(b'{')?;
            while let Some(name) = self.reader.key(&mut open)? {
                // Once for the key, once for its canonical form, by which keys are compared at the end.
                self.budget.take(2 * name.len() + fingerprint::SORTED_ENTRY)?;
                self.budget.grow(&mut entries)?;
                let value = self.value(value).inside(&name)?;
                entries.push((Val::String(name.into_owned()), value));
            }
        } else {
            self.expect(Kind::Array, "a map, as a list of pairs of key and value")?;
            let mut open = self.reader.open(b'[')?;
            while self.reader.item(&mut open)? {
                self.budget.grow(&mut entries)?;
                let entry = self.pair(key, value).at(entries.len())?;
                entries.push(entry);
            }
        }
        if let Some(&twice) = fingerprint::overridden(&entries).first() {
            let message = "its key is given twice";
            return match &entries[twice].0 {
                Val::String(key) => misfit(message).inside(key),
                _ => misfit(message).at(twice),
            };
        }
        Ok(Val::Map(entries))
    }

    fn pair(&mut self, key: &WitType, value: &WitType) -> Fit<(Val, Val)> {
        self.expect(Kind::Array, "a pair of key and value")?;
        let mut open = self.reader.open(b'[')?;
        let short = "a pair has two items, key and value";
        if !self.reader.item(&mut open)? {
            return misfit(short);
        }
        let before = self.budget.left();
        let key = self.value(key).at(0)?;
        let taken = usize::try_from(before - self.budget.left()).unwrap_or(usize::MAX);
        self.budget.take(taken.saturating_add(fingerprint::SORTED_ENTRY))?;
        if !self.reader.item(&mut open)? {
            return misfit(short);
        }
        let value = self.value(value).at(1)?;
        if self.reader.item(&mut open)? {
            return misfit(short);
        }
        Ok((key, value))
    }

    /// Null or the value; `{"some": …}` around it where that is an option itself, whose null would be ambiguous.
    fn option(&mut self, some: &WitType) -> Fit<Val> {
        if self.reader.peek()? == Kind::Null {
            self.reader.null()?;
            return Ok(Val::Option(None));
        }
        self.budget.take_box()?;
        let value = match some {
            WitType::Option(_) => self.wrapped(some)?,
            _ => self.value(some)?,
        };
        Ok(Val::Option(Some(Box::new(value))))
    }

    fn wrapped(&mut self, some: &WitType) -> Fit<Val> {
        let form = "an option of an option is null or {\"some\": …}";
        if self.reader.peek()? != Kind::Object {
            return misfit(form);
        }
        let mut open = self.reader.open(b'{')?;
        match self.reader.key(&mut open)? {
            Some(key) if key == "some" => {}
            _ => return misfit(form),
        }
        let value = self.value(some).inside("some")?;
        match self.reader.key(&mut open)? {
            None => Ok(value),
            Some(_) => misfit(form),
        }
    }

    fn flags(&mut self, names: &[Name]) -> Fit<Val> {
        self.expect(Kind::Array, "an array of names")?;
        self.budget.take(names.len())?;
        let mut set = vec![false; names.len()];
        let mut open = self.reader.open(b'[')?;
        let mut index = 0;
        while self.reader.item(&mut open)? {
            let flag = self.name_of(names, "flag", "flags").at(index)?;
            if std::mem::replace(&mut set[flag], true) {
                return misfit(format!("the flag `{}` is given twice", names[flag].kebab())).at(index);
            }
            index += 1;
        }
        let set = names.iter().zip(set).filter(|(_, set)| *set);
        let set = set.map(|(name, _)| self.owned(name.kebab()));
        Ok(Val::Flags(set.collect::<Fit<_>>()?))
    }

    /// A string of the text, taken from the budget.
    fn text(&mut self) -> Fit<String> {
        let text = self.reader.string()?;
        self.budget.take(text.len())?;
        Ok(text.into_owned())
    }

    /// A name of a type as an owned string, which every value that has names wants.
    fn owned(&mut self, name: &str) -> Fit<String> {
        self.budget.take(size_of::<String>() + name.len())?;
        Ok(name.to_owned())
    }

    fn number_or_string(&mut self, ty: &WitType) -> Fit<Written<'a>> {
        match self.reader.peek()? {
            Kind::Number => Ok(Written::Number(self.reader.number()?)),
            Kind::String => Ok(Written::String(self.reader.string()?)),
            _ => self.unexpected(ty),
        }
    }

    fn expect(&mut self, kind: Kind, what: impl std::fmt::Display) -> Fit<()> {
        if self.reader.peek()? == kind {
            Ok(())
        } else {
            self.unexpected(what)
        }
    }

    fn unexpected<T>(&mut self, what: impl std::fmt::Display) -> Fit<T> {
        let found = self.found()?;
        misfit(format!("expected {what}, got {found}"))
    }

    /// The value that stands where another was expected; scalars as they are written.
    fn found(&mut self) -> Fit<String> {
        Ok(match self.reader.peek()? {
            Kind::Number => format!("the number {}", short(self.reader.number()?)),
            Kind::String => format!("the string {:?}", short(&self.reader.string()?)),
            Kind::Bool => self.reader.boolean()?.to_string(),
            kind => kind.name().to_owned(),
        })
    }
}

/// A number, or a string that stands for one.
enum Written<'a> {
    Number(&'a str),
    String(std::borrow::Cow<'a, str>),
}
