//! Whether two functions have one type, and where they first differ.

use fusebox_core::component::FunctionShape;

/// Characters of a type that are shown.
const SHOWN: usize = 80;

/// The first difference between two functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Of what.
    pub(super) what: String,
    /// The type that the importing side has.
    pub(super) here: String,
    /// The type that the exporting side has.
    pub(super) there: String,
}

/// The first difference between the type of an imported function and that of the exported one; names of parameters belong to it.
pub(super) fn difference(here: &FunctionShape, there: &FunctionShape) -> Option<Difference> {
    let differ = |what: String, here: &str, there: &str| {
        let (here, there) = around(here, there);
        Some(Difference { what, here, there })
    };
    for ((name, ty), (other, exported)) in here.params.iter().zip(&there.params) {
        if name != other {
            return differ("the name of a parameter".to_owned(), name, other);
        }
        if ty != exported {
            return differ(format!("parameter `{name}`"), ty, exported);
        }
    }
    if here.params.len() != there.params.len() {
        let names = |function: &FunctionShape| {
            let names: Vec<_> = function.params.iter().map(|(name, _)| name.as_str()).collect();
            format!("({})", names.join(", "))
        };
        return differ("the list of parameters".to_owned(), &names(here), &names(there));
    }
    if here.result == there.result {
        return None;
    }
    let result = |function: &FunctionShape| function.result.clone().unwrap_or_else(|| "nothing".to_owned());
    differ("the result".to_owned(), &result(here), &result(there))
}

/// Both texts from shortly before the place where they differ, cut to what can be read.
fn around(here: &str, there: &str) -> (String, String) {
    if here.len() <= SHOWN && there.len() <= SHOWN {
        return (here.to_owned(), there.to_owned());
    }
    let same = here.bytes().zip(there.bytes()).take_while(|(a, b)| a == b).count();
    // From the start of the field, case or type in which they differ.
    let from = here
        .get(..same)
        .and_then(|same| same.rfind([' ', '<', '(']))
        .and_then(|at| here[..at].rfind([' ', '<', '(', '{']))
        .map_or(0, |at| at + 1);
    let cut = |text: &str| {
        let before = if from > 0 { "…" } else { "" };
        let rest: String = text[from..].chars().take(SHOWN).collect();
        let after = if rest.len() < text.len() - from { "…" } else { "" };
        format!("{before}{rest}{after}")
    };
    (cut(here), cut(there))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn function(params: &[(&str, &str)], result: Option<&str>) -> FunctionShape {
        FunctionShape {
            name: "query".to_owned(),
            interface: None,
            params: params
                .iter()
                .map(|&(name, ty)| (name.to_owned(), ty.to_owned()))
                .collect(),
            result: result.map(str::to_owned),
            error_cases: None,
        }
    }

    fn found(here: &FunctionShape, there: &FunctionShape) -> (String, String, String) {
        let difference = difference(here, there).unwrap();
        (difference.what, difference.here, difference.there)
    }

    #[test]
    fn the_first_difference_is_named_with_both_types() {
        let base = function(&[("text", "string"), ("limit", "u32")], Some("list<string>"));
        assert_eq!(difference(&base, &base), None);
        let own = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        for (other, expected) in [
            (
                function(&[("text", "string"), ("limit", "u64")], Some("u8")),
                own("parameter `limit`", "u32", "u64"),
            ),
            (
                function(&[("words", "string"), ("limit", "u32")], None),
                own("the name of a parameter", "text", "words"),
            ),
            (
                function(&[("text", "string")], Some("list<string>")),
                own("the list of parameters", "(text, limit)", "(text)"),
            ),
            (
                function(&[("text", "string"), ("limit", "u32")], None),
                own("the result", "list<string>", "nothing"),
            ),
        ] {
            assert_eq!(found(&base, &other), expected);
        }
    }

    #[test]
    fn long_types_are_shown_from_where_they_differ() {
        let long = |last: &str| {
            let fields: Vec<_> = (0..40).map(|n| format!("field-{n}: string")).collect();
            format!("record {{ {}, last: {last} }}", fields.join(", "))
        };
        let (_, here, there) = found(
            &function(&[], Some(&long("u32"))),
            &function(&[], Some(&long("list<ü>"))),
        );
        assert_eq!((here.as_str(), there.as_str()), ("…last: u32 }", "…last: list<ü> }"));
        let (_, here, _) = found(
            &function(&[], Some(&format!("a{}", long("u32")))),
            &function(&[], Some("b")),
        );
        assert!(
            here.starts_with("arecord { field-0: string,") && here.ends_with('…'),
            "{here}"
        );
    }
}
