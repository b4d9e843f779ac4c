//! WIT types, read from the text that a component's shape has them in: what rules know of a function's arguments.

/// A type of WIT, as far as JSON can express it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    /// Any integer type.
    Integer,
    /// `f32` or `f64`.
    Float,
    /// `string`, `char`, `list<u8>` and enums: JSON has text for them.
    Text,
    List(Box<Type>),
    /// A map, whatever it has: its keys are data.
    Map,
    Record(Vec<(String, Type)>),
    Tuple(Vec<Type>),
    /// Cases, those that carry nothing too.
    Variant(Vec<(String, Option<Type>)>),
    Option(Box<Type>),
    Result(Box<(Option<Type>, Option<Type>)>),
    Flags,
}

/// Nesting of one type, which bounds the recursion; components have no deeper ones.
const DEEPEST: usize = 128;

/// Reads a type.
///
/// # Errors
/// What was expected, and where.
pub(crate) fn read(text: &str) -> Result<Type, String> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let ty = reader.ty()?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.expected("the end of the type"));
    }
    Ok(ty)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn ty(&mut self) -> Result<Type, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.expected("a type that is less deep"));
        }
        let name = self.word()?;
        let ty = match name.as_str() {
            "bool" => Type::Bool,
            "s8" | "u8" | "s16" | "u16" | "s32" | "u32" | "s64" | "u64" => Type::Integer,
            "f32" | "f64" => Type::Float,
            "char" | "string" => Type::Text,
            "list" => self.list()?,
            "map" => {
                self.of(|this| this.separated('>', Self::ty))?;
                Type::Map
            }
            "record" => Type::Record(self.braced(Self::field)?),
            "tuple" => Type::Tuple(self.of(|this| this.separated('>', Self::ty))?),
            "variant" => Type::Variant(self.braced(Self::case)?),
            "enum" => {
                self.braced(Self::word)?;
                Type::Text
            }
            "flags" => {
                self.braced(Self::word)?;
                Type::Flags
            }
            "option" => Type::Option(Box::new(self.of(Self::ty)?)),
            "result" => self.result()?,
            other => return Err(format!("`{other}` is no type of WIT that JSON can express")),
        };
        self.depth -= 1;
        Ok(ty)
    }

    fn list(&mut self) -> Result<Type, String> {
        self.of(|this| {
            let bytes = this.text[this.at..].trim_start().starts_with("u8>");
            let item = this.ty()?;
            Ok(if bytes { Type::Text } else { Type::List(Box::new(item)) })
        })
    }

    fn result(&mut self) -> Result<Type, String> {
        self.space();
        if !self.text[self.at..].starts_with('<') {
            return Ok(Type::Result(Box::new((None, None))));
        }
        self.of(|this| {
            let ok = if this.take('_') { None } else { Some(this.ty()?) };
            let err = if this.take(',') { Some(this.ty()?) } else { None };
            Ok(Type::Result(Box::new((ok, err))))
        })
    }

    fn field(&mut self) -> Result<(String, Type), String> {
        let name = self.word()?;
        self.expect(':')?;
        Ok((name, self.ty()?))
    }

    fn case(&mut self) -> Result<(String, Option<Type>), String> {
        let name = self.word()?;
        if !self.take('(') {
            return Ok((name, None));
        }
        let ty = self.ty()?;
        self.expect(')')?;
        Ok((name, Some(ty)))
    }

    /// What stands between `<` and `>`.
    fn of<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.expect('<')?;
        let inner = inner(self)?;
        self.expect('>')?;
        Ok(inner)
    }

    fn braced<T>(&mut self, item: impl FnMut(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        self.expect('{')?;
        let items = self.separated('}', item)?;
        self.expect('}')?;
        Ok(items)
    }

    fn separated<T>(
        &mut self,
        end: char,
        mut item: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let mut items = Vec::new();
        loop {
            self.space();
            if self.text[self.at..].starts_with(end) {
                return Ok(items);
            }
            items.push(item(self)?);
            if !self.take(',') {
                return Ok(items);
            }
        }
    }

    fn word(&mut self) -> Result<String, String> {
        self.space();
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '%'))
            .unwrap_or(rest.len());
        if end == 0 {
            return Err(self.expected("a name"));
        }
        self.at += end;
        Ok(rest[..end].trim_start_matches('%').to_owned())
    }

    fn take(&mut self, wanted: char) -> bool {
        self.space();
        let found = self.text[self.at..].starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.take(wanted) {
            Ok(())
        } else {
            Err(self.expected(&format!("`{wanted}`")))
        }
    }

    fn space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn expected(&self, what: &str) -> String {
        format!("{what} was expected at {} of `{}`", self.at, self.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn boxed(ty: Type) -> Box<Type> {
        Box::new(ty)
    }

    #[test]
    fn every_form_of_a_type_is_read() {
        let cases = [
            ("bool", Type::Bool),
            ("u64", Type::Integer),
            ("f64", Type::Float),
            ("char", Type::Text),
            ("list<u8>", Type::Text),
            ("list<string>", Type::List(boxed(Type::Text))),
            ("list<list<u8>>", Type::List(boxed(Type::Text))),
            ("map<string, u32>", Type::Map),
            ("enum { a, b-c }", Type::Text),
            ("flags { read, write }", Type::Flags),
            ("option<s32>", Type::Option(boxed(Type::Integer))),
            ("tuple<u8, string>", Type::Tuple(vec![Type::Integer, Type::Text])),
            ("result", Type::Result(Box::new((None, None)))),
            ("result<_, string>", Type::Result(Box::new((None, Some(Type::Text))))),
            ("result<u8>", Type::Result(Box::new((Some(Type::Integer), None)))),
            ("record {  }", Type::Record(Vec::new())),
        ];
        for (text, ty) in cases {
            assert_eq!(read(text).unwrap(), ty, "{text}");
        }
        let nested = read("record { to-iban: string, way: variant { fast, slow(record { days: u8 }) } }").unwrap();
        let days = Type::Record(vec![("days".to_owned(), Type::Integer)]);
        let way = Type::Variant(vec![("fast".to_owned(), None), ("slow".to_owned(), Some(days))]);
        assert_eq!(
            nested,
            Type::Record(vec![("to-iban".to_owned(), Type::Text), ("way".to_owned(), way)])
        );
    }

    #[test]
    fn what_is_no_type_is_refused_and_never_overflows_the_stack() {
        for text in ["", "own<x>", "list<", "record { a }", "u8 u8", "tuple<u8", "result<_"] {
            assert!(read(text).is_err(), "{text}");
        }
        let deep = format!("{}u8{}", "list<".repeat(100_000), ">".repeat(100_000));
        assert!(read(&deep).is_err());
    }
}
