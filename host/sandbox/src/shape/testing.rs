//! For tests: WIT types from text, random ones and their values, and components whose functions return what they get.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::wit_type::{Case, Field, Integer, Name, WitType};
use super::{Callable, Surface};
use crate::fingerprint;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use wasmtime::component::{Component, Val};
use wasmtime::{Config, Engine};

/// An engine that knows maps.
pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.wasm_component_model_map(true);
    Engine::new(&config).unwrap()
});

/// A type from the text that it is displayed as.
pub(crate) fn ty(text: &str) -> WitType {
    let mut words = Words { rest: text };
    let ty = words.ty();
    assert_eq!(words.peek(), "", "in {text}");
    ty
}

/// A function from parameters such as `text: string, limit: option<u32>`, and the index of an export that is not used.
pub(crate) fn callable(params: &str, result: Option<&str>) -> Arc<Callable> {
    let WitType::Record(params) = ty(&format!("record {{ {params} }}")) else {
        unreachable!()
    };
    Arc::new(Callable {
        name: "query".to_owned(),
        interface: None,
        params,
        result: result.map(ty),
        export: IDENTITY.callables["f0"].export,
    })
}

static IDENTITY: LazyLock<Surface> = LazyLock::new(|| {
    let component = Component::new(&ENGINE, identities(&[WitType::Bool])).unwrap();
    Surface::of(&component, |_| true)
});

struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn peek(&self) -> &'a str {
        let text = self.rest.trim_start();
        let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        let length = text.chars().take_while(|c| word(*c)).map(char::len_utf8).sum::<usize>();
        if length == 0 {
            &text[..text.len().min(1)]
        } else {
            &text[..length]
        }
    }

    fn next(&mut self) -> &'a str {
        let word = self.peek();
        self.rest = &self.rest.trim_start()[word.len()..];
        word
    }

    fn eat(&mut self, word: &str) -> bool {
        let there = self.peek() == word;
        if there {
            self.next();
        }
        there
    }

    fn expect(&mut self, word: &str) {
        assert_eq!(self.next(), word, "before {}", self.rest);
    }

    fn ty(&mut self) -> WitType {
        match self.next() {
            "bool" => WitType::Bool,
            "f32" => WitType::F32,
            "f64" => WitType::F64,
            "char" => WitType::Char,
            "string" => WitType::String,
            "list" => list_of(self.angled(|words| words.ty())),
            "option" => WitType::Option(Box::new(self.angled(|words| words.ty()))),
            "map" => WitType::Map(Box::new(self.angled(|words| {
                let key = words.ty();
                words.expect(",");
                (key, words.ty())
            }))),
            "tuple" => WitType::Tuple(self.angled(|words| words.many(">", |words| words.ty()))),
            "result" if self.peek() != "<" => WitType::Result(Box::new((None, None))),
            "result" => WitType::Result(Box::new(self.angled(|words| {
                let ok = (!words.eat("_")).then(|| words.ty());
                (ok, words.eat(",").then(|| words.ty()))
            }))),
            "record" => WitType::Record(self.braced(|words| {
                let name = Name::new(words.next());
                words.expect(":");
                Field { name, ty: words.ty() }
            })),
            "variant" => WitType::Variant(self.braced(|words| {
                let name = Name::new(words.next());
                let ty = words.eat("(").then(|| {
                    let ty = words.ty();
                    words.expect(")");
                    ty
                });
                Case { name, ty }
            })),
            "enum" => WitType::Enum(self.braced(|words| Name::new(words.next()))),
            "flags" => WitType::Flags(self.braced(|words| Name::new(words.next()))),
            word => match INTEGERS.iter().find(|integer| integer.name() == word) {
                Some(integer) => WitType::Integer(*integer),
                None => panic!("no type begins with {word:?}"),
            },
        }
    }

    fn angled<T>(&mut self, inner: impl FnOnce(&mut Self) -> T) -> T {
        self.expect("<");
        let inner = inner(self);
        self.expect(">");
        inner
    }

    fn braced<T>(&mut self, item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        self.expect("{");
        let items = self.many("}", item);
        self.expect("}");
        items
    }

    fn many<T>(&mut self, end: &str, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut items = Vec::new();
        while self.peek() != end {
            items.push(item(self));
            self.eat(",");
        }
        items
    }
}

const INTEGERS: [Integer; 8] = [
    Integer::S8,
    Integer::U8,
    Integer::S16,
    Integer::U16,
    Integer::S32,
    Integer::U32,
    Integer::S64,
    Integer::U64,
];

pub(crate) fn list_of(item: WitType) -> WitType {
    match item {
        WitType::Integer(Integer::U8) => WitType::Bytes,
        item => WitType::List(Box::new(item)),
    }
}

/// Any type.
pub(crate) fn any_type() -> impl Strategy<Value = WitType> {
    let leaf = prop_oneof![
        Just(WitType::Bool),
        select(INTEGERS.as_slice()).prop_map(WitType::Integer),
        Just(WitType::F32),
        Just(WitType::F64),
        Just(WitType::Char),
        Just(WitType::String),
        Just(WitType::Bytes),
        names().prop_map(WitType::Enum),
        names().prop_map(WitType::Flags),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let maybe = proptest::option::of(inner.clone());
        let case = (maybe.clone(), maybe.clone());
        prop_oneof![
            inner.clone().prop_map(list_of),
            inner.clone().prop_map(|some| WitType::Option(Box::new(some))),
            (inner.clone(), inner.clone()).prop_map(|map| WitType::Map(Box::new(map))),
            inner
                .clone()
                .prop_map(|value| WitType::Map(Box::new((WitType::String, value)))),
            vec(inner.clone(), 1..4).prop_map(WitType::Tuple),
            (names(), vec(inner, NAMES.len())).prop_map(|(names, types)| {
                let fields = names.into_iter().zip(types);
                WitType::Record(fields.map(|(name, ty)| Field { name, ty }).collect())
            }),
            (names(), vec(maybe, NAMES.len())).prop_map(|(names, types)| {
                let cases = names.into_iter().zip(types);
                WitType::Variant(cases.map(|(name, ty)| Case { name, ty }).collect())
            }),
            case.prop_map(|result| WitType::Result(Box::new(result))),
        ]
    })
}

const NAMES: [&str; 6] = ["text", "max-items", "a", "from-account", "some", "HTTP-ok"];

fn names() -> impl Strategy<Value = Vec<Name>> {
    let names = subsequence(NAMES.as_slice(), 1..=NAMES.len());
    names.prop_map(|names| names.into_iter().map(Name::new).collect())
}

/// Any value of a type.
pub(crate) fn any_value(ty: &WitType) -> BoxedStrategy<Val> {
    match ty {
        WitType::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        WitType::Integer(integer) => any_integer(*integer),
        WitType::F32 => proptest::num::f32::ANY.prop_map(Val::Float32).boxed(),
        WitType::F64 => proptest::num::f64::ANY.prop_map(Val::Float64).boxed(),
        WitType::Char => any::<char>().prop_map(Val::Char).boxed(),
        WitType::String => any::<String>().prop_map(Val::String).boxed(),
        WitType::Bytes => vec(any::<u8>().prop_map(Val::U8), 0..9).prop_map(Val::List).boxed(),
        WitType::List(item) => vec(any_value(item), 0..4).prop_map(Val::List).boxed(),
        WitType::Map(map) => {
            let entries = vec((any_value(&map.0), any_value(&map.1)), 0..4);
            entries.prop_map(|entries| Val::Map(without_repeated(entries))).boxed()
        }
        WitType::Record(fields) => {
            let names: Vec<_> = fields.iter().map(|field| field.name.kebab().to_owned()).collect();
            let values: Vec<_> = fields.iter().map(|field| any_value(&field.ty)).collect();
            values
                .prop_map(move |values| Val::Record(names.iter().cloned().zip(values).collect()))
                .boxed()
        }
        WitType::Tuple(items) => items
            .iter()
            .map(any_value)
            .collect::<Vec<_>>()
            .prop_map(Val::Tuple)
            .boxed(),
        WitType::Variant(cases) => {
            let cases = cases.iter().map(|case| {
                let name = case.name.kebab().to_owned();
                maybe(case.ty.as_ref())
                    .prop_map(move |value| Val::Variant(name.clone(), value))
                    .boxed()
            });
            proptest::strategy::Union::new(cases).boxed()
        }
        WitType::Enum(names) => select(kebab(names)).prop_map(Val::Enum).boxed(),
        WitType::Option(some) => proptest::option::of(any_value(some))
            .prop_map(|some| Val::Option(some.map(Box::new)))
            .boxed(),
        WitType::Result(result) => prop_oneof![
            maybe(result.0.as_ref()).prop_map(|ok| Val::Result(Ok(ok))),
            maybe(result.1.as_ref()).prop_map(|err| Val::Result(Err(err))),
        ]
        .boxed(),
        WitType::Flags(names) => {
            let count = names.len();
            subsequence(kebab(names), 0..=count).prop_map(Val::Flags).boxed()
        }
    }
}

fn any_integer(integer: Integer) -> BoxedStrategy<Val> {
    match integer {
        Integer::S8 => any::<i8>().prop_map(Val::S8).boxed(),
        Integer::U8 => any::<u8>().prop_map(Val::U8).boxed(),
        Integer::S16 => any::<i16>().prop_map(Val::S16).boxed(),
        Integer::U16 => any::<u16>().prop_map(Val::U16).boxed(),
        Integer::S32 => any::<i32>().prop_map(Val::S32).boxed(),
        Integer::U32 => any::<u32>().prop_map(Val::U32).boxed(),
        Integer::S64 => any::<i64>().prop_map(Val::S64).boxed(),
        Integer::U64 => any::<u64>().prop_map(Val::U64).boxed(),
    }
}

fn without_repeated(entries: Vec<(Val, Val)>) -> Vec<(Val, Val)> {
    let overridden = fingerprint::overridden(&entries);
    let entries = entries.into_iter().enumerate();
    entries
        .filter(|(at, _)| !overridden.contains(at))
        .map(|(_, entry)| entry)
        .collect()
}

fn maybe(ty: Option<&WitType>) -> BoxedStrategy<Option<Box<Val>>> {
    match ty {
        Some(ty) => any_value(ty).prop_map(|value| Some(Box::new(value))).boxed(),
        None => Just(None).boxed(),
    }
}

fn kebab(names: &[Name]) -> Vec<String> {
    names.iter().map(|name| name.kebab().to_owned()).collect()
}

/// A component with a function `f0`, `f1`, … for each type, from a list of it to the same list. A list is a pointer
/// and a length, which the guest stores where its result is looked for.
pub(crate) fn identities(types: &[WitType]) -> String {
    let mut wat = Wat::default();
    let mut functions = String::new();
    for (at, ty) in types.iter().enumerate() {
        let ty = wat.refer(ty);
        write!(
            functions,
            r#"(func (export "f{at}") (param "v" (list {ty})) (result (list {ty}))
                 (canon lift (core func $i "identity") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))"#
        )
        .unwrap();
    }
    format!("(component {GUEST} {} {functions})", wat.text)
}

const GUEST: &str = r#"
    (core module $m
      (memory (export "memory") 16)
      (global $top (mut i32) (i32.const 16))
      (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and
          (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
        (global.set $top (i32.add (local.get $at) (local.get $new)))
        (local.get $at))
      (func (export "identity") (param i32 i32) (result i32)
        (i32.store (i32.const 0) (local.get 0))
        (i32.store (i32.const 4) (local.get 1))
        (i32.const 0)))
    (core instance $i (instantiate $m))"#;

/// Declares types; those that WIT wants named are exported, as functions may only use them so.
#[derive(Default)]
struct Wat {
    text: String,
    count: usize,
}

impl Wat {
    fn refer(&mut self, ty: &WitType) -> String {
        let (definition, named) = match ty {
            WitType::Bool => return "bool".to_owned(),
            WitType::Integer(integer) => return integer.name().to_owned(),
            WitType::F32 => return "f32".to_owned(),
            WitType::F64 => return "f64".to_owned(),
            WitType::Char => return "char".to_owned(),
            WitType::String => return "string".to_owned(),
            WitType::Bytes => return "(list u8)".to_owned(),
            WitType::List(item) => return format!("(list {})", self.refer(item)),
            WitType::Option(some) => return format!("(option {})", self.refer(some)),
            WitType::Map(map) => return format!("(map {} {})", self.refer(&map.0), self.refer(&map.1)),
            WitType::Tuple(items) => {
                let items: Vec<_> = items.iter().map(|item| self.refer(item)).collect();
                return format!("(tuple {})", items.join(" "));
            }
            WitType::Result(result) => {
                let ok = result.0.as_ref().map(|ok| self.refer(ok)).unwrap_or_default();
                let err = result.1.as_ref().map(|err| format!("(error {})", self.refer(err)));
                return format!("(result {ok} {})", err.unwrap_or_default());
            }
            WitType::Record(fields) => {
                let field = |field: &Field| format!("(field {:?} {})", field.name.kebab(), self.refer(&field.ty));
                ("record", fields.iter().map(field).collect::<String>())
            }
            WitType::Variant(cases) => {
                let case = |case: &Case| {
                    let ty = case.ty.as_ref().map(|ty| self.refer(ty)).unwrap_or_default();
                    format!("(case {:?} {ty})", case.name.kebab())
                };
                ("variant", cases.iter().map(case).collect())
            }
            WitType::Enum(names) => ("enum", quoted(names)),
            WitType::Flags(names) => ("flags", quoted(names)),
        };
        self.count += 1;
        let at = self.count;
        write!(
            self.text,
            r#"(type $p{at} ({definition} {named})) (export $t{at} "t{at}" (type $p{at}))"#
        )
        .unwrap();
        format!("$t{at}")
    }
}

fn quoted(names: &[Name]) -> String {
    names.iter().map(|name| format!(" {:?}", name.kebab())).collect()
}
