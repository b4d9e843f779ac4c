//! Values whose JSON carries names of the type: records and parameters, variants, enums, results.

use super::Decoder;
use crate::shape::wit_type::{Case, Field, Name, WitType};
use crate::values::misfit::{Fit, Inside, advice, misfit};
use crate::values::reader::Kind;
use std::mem::size_of;
use wasmtime::component::Val;

impl Decoder<'_> {
    /// The values of fields, in the order of their type; fields that are options may be absent.
    pub(super) fn fields(&mut self, fields: &[Field], kind: &str) -> Fit<Vec<Val>> {
        self.budget.take(fields.len() * 2 * size_of::<Val>())?;
        let mut slots = vec![None; fields.len()];
        let mut open = self.reader.open(b'{')?;
        let mut next = 0;
        while let Some(key) = self.reader.key(&mut open)? {
            let Some(at) = position(fields, next, &key) else {
                let names = fields.iter().map(|field| field.name.kebab());
                let wrong = super::short(&key);
                return misfit(format!(
                    "there is no {kind} `{wrong}`{}",
                    advice(&key, names, &format!("{kind}s"))
                ));
            };
            if slots[at].is_some() {
                return given_twice(&fields[at].name, kind);
            }
            slots[at] = Some(self.value(&fields[at].ty).inside(&key)?);
            next = at + 1;
        }
        let values = slots.into_iter().zip(fields).map(|(value, field)| match value {
            Some(value) => Ok(value),
            None => absent(field, kind),
        });
        values.collect()
    }

    /// What no property at all stands for.
    pub(super) fn absent(&mut self, fields: &[Field], kind: &str) -> Fit<Vec<Val>> {
        self.budget.take(fields.len() * size_of::<Val>())?;
        fields.iter().map(|field| absent(field, kind)).collect()
    }

    pub(super) fn record(&mut self, fields: &[Field]) -> Fit<Val> {
        self.expect(Kind::Object, "an object")?;
        let values = self.fields(fields, "field")?;
        self.budget.take(fields.len() * size_of::<Val>())?;
        let named = fields.iter().zip(values);
        let named = named.map(|(field, value)| Ok((self.owned(field.name.kebab())?, value)));
        Ok(Val::Record(named.collect::<Fit<_>>()?))
    }

    /// `"case"`, or `{"case": value}`; null stands for the value that a case does not carry.
    pub(super) fn variant(&mut self, cases: &[Case]) -> Fit<Val> {
        let names = || cases.iter().map(|case| &case.name);
        if self.reader.peek()? == Kind::String {
            let case = self.name_of(names(), "case", "cases")?;
            let name = cases[case].name.kebab();
            if cases[case].ty.is_some() {
                return misfit(format!("the case `{name}` carries a value: {{{name:?}: …}}"));
            }
            return Ok(Val::Variant(self.owned(name)?, None));
        }
        self.expect(Kind::Object, "a case, as \"case\" or {\"case\": value}")?;
        let (case, value) = self.only_case(cases)?;
        Ok(Val::Variant(self.owned(cases[case].name.kebab())?, value))
    }

    fn only_case(&mut self, cases: &[Case]) -> Fit<(usize, Option<Box<Val>>)> {
        let one = "it has one property, whose name is the case";
        let mut open = self.reader.open(b'{')?;
        let Some(key) = self.reader.key(&mut open)? else {
            return misfit(one);
        };
        let case = index_of(cases.iter().map(|case| &case.name), &key, "case", "cases")?;
        let value = self.carried(cases[case].ty.as_ref()).inside(&key)?;
        match self.reader.key(&mut open)? {
            None => Ok((case, value)),
            Some(_) => misfit(one),
        }
    }

    /// What a case carries.
    fn carried(&mut self, ty: Option<&WitType>) -> Fit<Option<Box<Val>>> {
        match ty {
            Some(ty) => {
                self.budget.take_box()?;
                Ok(Some(Box::new(self.value(ty)?)))
            }
            None => {
                self.expect(Kind::Null, "null, as this case carries no value")?;
                self.reader.null()?;
                Ok(None)
            }
        }
    }

    pub(super) fn enumeration(&mut self, names: &[Name]) -> Fit<Val> {
        let case = self.name_of(names, "case", "cases")?;
        Ok(Val::Enum(self.owned(names[case].kebab())?))
    }

    /// `{"ok": value}` or `{"err": value}`, with null where there is no value.
    pub(super) fn result(&mut self, ok: Option<&WitType>, err: Option<&WitType>) -> Fit<Val> {
        let form = "a result is {\"ok\": …} or {\"err\": …}";
        self.expect(Kind::Object, "a result, as {\"ok\": …} or {\"err\": …}")?;
        let mut open = self.reader.open(b'{')?;
        let result = match self.reader.key(&mut open)?.as_deref() {
            Some("ok") => Ok(self.carried(ok).inside("ok")?),
            Some("err") => Err(self.carried(err).inside("err")?),
            _ => return misfit(form),
        };
        match self.reader.key(&mut open)? {
            None => Ok(Val::Result(result)),
            Some(_) => misfit(form),
        }
    }

    /// The index of the name that a string spells.
    pub(super) fn name_of<'n>(
        &mut self,
        names: impl IntoIterator<Item = &'n Name, IntoIter: Clone>,
        kind: &str,
        kinds: &str,
    ) -> Fit<usize> {
        self.expect(Kind::String, format_args!("the name of a {kind}"))?;
        let text = self.reader.string()?;
        index_of(names.into_iter(), &text, kind, kinds)
    }
}

fn index_of<'n>(names: impl Iterator<Item = &'n Name> + Clone, text: &str, kind: &str, kinds: &str) -> Fit<usize> {
    match names.clone().position(|name| name.is(text)) {
        Some(at) => Ok(at),
        None => {
            let wrong = super::short(text);
            misfit(format!(
                "there is no {kind} `{wrong}`{}",
                advice(text, names.map(Name::kebab), kinds)
            ))
        }
    }
}

/// The field that a key spells; the search begins where the last one ended, as most texts follow the type's order.
fn position(fields: &[Field], next: usize, key: &str) -> Option<usize> {
    let (before, after) = fields.split_at(next.min(fields.len()));
    let found = after
        .iter()
        .position(|field| field.name.is(key))
        .map(|at| at + before.len());
    found.or_else(|| before.iter().position(|field| field.name.is(key)))
}

fn absent(field: &Field, kind: &str) -> Fit<Val> {
    match field.ty {
        WitType::Option(_) => Ok(Val::Option(None)),
        _ => {
            let ty = super::short(&field.ty.to_string());
            misfit(format!("the {kind} `{}` of type {ty} is missing", field.name.kebab()))
        }
    }
}

fn given_twice<T>(name: &Name, kind: &str) -> Fit<T> {
    let (kebab, snake) = (
        name.kebab(),
        name.spelled(fusebox_engine::ports::sandbox::Spelling::Snake),
    );
    if kebab == snake {
        return misfit(format!("the {kind} `{kebab}` is given twice"));
    }
    misfit(format!(
        "the {kind} `{kebab}` is given twice (`{kebab}` and `{snake}` are one name)"
    ))
}
