//! Typed values of a file with their places, and how the parts of a policy are taken from them.

use crate::diagnostic::Span;
use crate::form::{ComponentRef, Scalar};
use crate::units::NetworkRule;
use fusebox_core::policy::{HeaderPart, Origin, RateLimit, RequestPattern};
use std::time::Duration;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// A value that has the form that its key demands.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Table(Table),
}

/// The entries of a table that have their form, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    entries: Vec<Entry>,
}

/// A key, its place, and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

/// A value with the place that it was read from.
pub(crate) type Placed<'t, T> = Option<(T, &'t Span)>;

impl Table {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// The entries in the order of the file.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The entry of that key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The table at that key; an empty one when there is none.
    pub(crate) fn table(&self, key: &str) -> &Self {
        const EMPTY: &Table = &Table { entries: Vec::new() };
        self.entry(key).and_then(|entry| entry.node.table()).unwrap_or(EMPTY)
    }

    /// The items of the list at that key; none when there is no list.
    pub(crate) fn list(&self, key: &str) -> &[Node] {
        match self.entry(key).map(|entry| &entry.node.value) {
            Some(Value::List(nodes)) => nodes,
            _ => &[],
        }
    }

    fn get<'t, T>(&'t self, key: &str, take: impl Fn(&'t Node) -> Option<T>) -> Placed<'t, T> {
        let entry = self.entry(key)?;
        take(&entry.node).map(|value| (value, &entry.node.span))
    }

    pub(crate) fn text(&self, key: &str) -> Placed<'_, &str> {
        self.get(key, Node::text)
    }

    pub(crate) fn duration(&self, key: &str) -> Placed<'_, Duration> {
        self.get(key, |node| match node.scalar()? {
            Scalar::Duration(duration) => Some(*duration),
            _ => None,
        })
    }

    pub(crate) fn number(&self, key: &str) -> Placed<'_, u64> {
        self.get(key, Node::number)
    }

    /// A number whose form keeps it within 32 bits.
    pub(crate) fn count(&self, key: &str) -> Placed<'_, u32> {
        self.get(key, |node| u32::try_from(node.number()?).ok())
    }

    /// A count, or the word `none`.
    pub(crate) fn count_or_none(&self, key: &str) -> Placed<'_, Option<u32>> {
        self.get(key, |node| match node.scalar()? {
            Scalar::None => Some(None),
            _ => u32::try_from(node.number()?).ok().map(Some),
        })
    }

    /// A number, or the word `none`.
    pub(crate) fn number_or_none(&self, key: &str) -> Placed<'_, Option<u64>> {
        self.get(key, |node| match node.scalar()? {
            Scalar::None => Some(None),
            _ => node.number().map(Some),
        })
    }

    pub(crate) fn share(&self, key: &str) -> Placed<'_, f64> {
        self.get(key, |node| match node.scalar()? {
            Scalar::Share(share) => Some(*share),
            _ => None,
        })
    }

    pub(crate) fn rate_or_none(&self, key: &str) -> Placed<'_, Option<RateLimit>> {
        self.get(key, |node| match node.scalar()? {
            Scalar::Rate(rate) => Some(Some(*rate)),
            Scalar::None => Some(None),
            _ => None,
        })
    }

    pub(crate) fn component(&self, key: &str) -> Placed<'_, &ComponentRef> {
        self.get(key, |node| match node.scalar()? {
            Scalar::Component(component) => Some(component),
            _ => None,
        })
    }
}

impl Node {
    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub(crate) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self.scalar()? {
            Scalar::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn number(&self) -> Option<u64> {
        match self.scalar()? {
            Scalar::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn origin(&self) -> Option<&Origin> {
        match self.scalar()? {
            Scalar::Origin(origin) => Some(origin),
            _ => None,
        }
    }

    pub(crate) fn rule(&self) -> Option<&NetworkRule> {
        match self.scalar()? {
            Scalar::Rule(rule) => Some(rule),
            _ => None,
        }
    }

    pub(crate) fn pattern(&self) -> Option<&RequestPattern> {
        match self.scalar()? {
            Scalar::Pattern(pattern) => Some(pattern),
            _ => None,
        }
    }

    pub(crate) fn header(&self) -> Option<&[HeaderPart]> {
        match self.scalar()? {
            Scalar::Header(parts) => Some(parts),
            _ => None,
        }
    }
}
