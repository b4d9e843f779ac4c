//! A manifest against its component: functions, error cases, imports, and what a model would see.

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::lower::Lowered;
use crate::suggest;
use fusebox_core::component::{ComponentShape, FunctionShape};
use fusebox_core::policy::ToolPolicy;
use std::collections::BTreeMap;

/// The longest name of a tool that all providers of models accept.
const LONGEST_MODEL_NAME: usize = 64;

/// The name of a function towards models: its `as`, else `tool_function`, or `tool_iface_function`.
#[must_use]
pub fn model_name(policy: &ToolPolicy, function: &str) -> String {
    match &policy.function(function).rename {
        Some(rename) => rename.clone(),
        None => format!("{}_{}", policy.name, function.replace('.', "_")),
    }
}

/// Everything that does not fit between a manifest and its component.
#[must_use]
pub fn check_component(lowered: &Lowered, shape: &ComponentShape) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let component = lowered.provenance.span("component");
    for import in &shape.missing_imports {
        findings.push(
            Diagnostic::error(
                codes::MISSING_IMPORT,
                format!("the component imports `{import}`, which nobody provides"),
            )
            .help("remove what needs it, or build for `wasm32-wasip2`; the host provides WASI 0.2 and `wasi:http`")
            .at(component.cloned()),
        );
    }
    if shape.functions.is_empty() {
        findings.push(
            Diagnostic::error(
                codes::NO_FUNCTION,
                "the component exports no function that can be called",
            )
            .help("export a function with plain values: no resources, streams, futures or fixed-length lists")
            .at(component.cloned()),
        );
    }
    for (name, reason) in &shape.left_out {
        if lowered.provenance.span(&format!("functions.{name}")).is_none() {
            findings.push(
                Diagnostic::warning(codes::LEFT_OUT, format!("`{name}` cannot be called: {reason}"))
                    .help("export it with plain values if it is meant to be called")
                    .at(component.cloned()),
            );
        }
    }
    named(lowered, shape, &mut findings);
    for function in &shape.functions {
        words(lowered, function, &mut findings);
    }
    model_names(lowered, shape, &mut findings);
    findings
}

/// The place of a function: its heading in the manifest, else the component's name.
fn place<'a>(lowered: &'a Lowered, function: &str) -> Option<&'a Span> {
    let provenance = &lowered.provenance;
    provenance
        .span(&format!("functions.{function}"))
        .or_else(|| provenance.span("component"))
}

/// Functions that the manifest names.
fn named(lowered: &Lowered, shape: &ComponentShape, findings: &mut Vec<Diagnostic>) {
    for name in lowered.policy.functions.keys() {
        let Some(span) = lowered.provenance.span(&format!("functions.{name}")) else {
            continue;
        };
        match shape.functions.iter().find(|function| function.name == *name) {
            Some(function) => fits(lowered, function, findings),
            None => findings.push(not_callable(name, shape).at(span.clone())),
        }
    }
}

fn not_callable(name: &str, shape: &ComponentShape) -> Diagnostic {
    if let Some((_, reason)) = shape.left_out.iter().find(|(left_out, _)| left_out == name) {
        return Diagnostic::error(codes::NAMES_LEFT_OUT, format!("`{name}` cannot be called: {reason}"))
            .help("export it with plain values, or leave its policy out");
    }
    let names = || shape.functions.iter().map(|function| function.name.as_str());
    let bare = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let same: Vec<_> = names().filter(|exported| bare(exported) == bare(name)).collect();
    match same.as_slice() {
        [_, _, ..] if !name.contains('.') => Diagnostic::error(
            codes::AMBIGUOUS_FUNCTION,
            format!("several interfaces export a function `{name}`"),
        )
        .help(format!(
            "write the interface too, in quotes: {}",
            suggest::list(same.iter().copied()).unwrap_or_default()
        )),
        [one] => Diagnostic::error(
            codes::NOT_EXPORTED,
            format!("the component exports no function `{name}`"),
        )
        .help(format!("write `{one}`")),
        _ => Diagnostic::error(
            codes::NOT_EXPORTED,
            format!("the component exports no function `{name}`"),
        )
        .help(suggest::instead(name, names().collect::<Vec<_>>())),
    }
}

/// Error cases and parameters that the manifest names.
fn fits(lowered: &Lowered, function: &FunctionShape, findings: &mut Vec<Diagnostic>) {
    let name = &function.name;
    let policy = lowered.policy.function(name);
    let at = |path: String| lowered.provenance.span(&path).cloned();
    for case in policy.errors.keys() {
        let finding = match &function.error_cases {
            Some(cases) if cases.contains(case) => continue,
            Some(cases) => Diagnostic::error(
                codes::UNKNOWN_ERROR_CASE,
                format!("the error type of `{name}` has no case `{case}`"),
            )
            .help(suggest::instead(case, cases.iter().map(String::as_str))),
            None => Diagnostic::error(codes::NO_ERROR_TYPE, format!("`{name}` has no error type with cases"))
                .help("leave `errors` out, or return `result` with a variant or an enum as its error"),
        };
        findings.push(finding.at(at(format!("functions.{name}.errors.{case}"))));
    }
    for param in policy
        .params
        .keys()
        .filter(|param| !function.params.iter().any(|(name, _)| name == *param))
    {
        let Some(span) = at(format!("functions.{name}.params.{param}")) else {
            continue;
        };
        findings.push(
            Diagnostic::error(codes::UNKNOWN_PARAM, format!("`{name}` has no parameter `{param}`"))
                .help(suggest::instead(
                    param,
                    function.params.iter().map(|(name, _)| name.as_str()),
                ))
                .at(span),
        );
    }
}

/// What a model would see undescribed.
fn words(lowered: &Lowered, function: &FunctionShape, findings: &mut Vec<Diagnostic>) {
    let policy = lowered.policy.function(&function.name);
    let span = place(lowered, &function.name);
    let mut warn = |code, message: String, help: String| {
        findings.push(Diagnostic::warning(code, message).help(help).at(span.cloned()));
    };
    let name = if function.name.contains('.') {
        format!("\"{}\"", function.name)
    } else {
        function.name.clone()
    };
    if policy.description.is_none() {
        warn(
            codes::UNDESCRIBED_FUNCTION,
            format!("a model would see `{}` without a description", function.name),
            format!(
                "write `description = \"…\"` under `[functions.{name}]`, or `wit = \"wit\"` for the comments of its source"
            ),
        );
    }
    let params = function.params.iter().map(|(param, _)| param.as_str());
    let silent: Vec<_> = params.filter(|param| !policy.params.contains_key(*param)).collect();
    if let Some(first) = silent.first() {
        warn(
            codes::UNDESCRIBED_PARAM,
            format!(
                "a model would see parameters of `{}` without a description: {}",
                function.name,
                silent.join(", ")
            ),
            format!("write `{first} = \"…\"` under `[functions.{name}.params]`"),
        );
    }
}

/// Names towards models: short enough, and each its own.
fn model_names(lowered: &Lowered, shape: &ComponentShape, findings: &mut Vec<Diagnostic>) {
    let mut owner: BTreeMap<String, &str> = BTreeMap::new();
    for function in &shape.functions {
        let name = model_name(&lowered.policy, &function.name);
        let span = place(lowered, &function.name).cloned();
        if name.len() > LONGEST_MODEL_NAME {
            let message = format!(
                "`{name}` has {} characters; models accept {LONGEST_MODEL_NAME}",
                name.len()
            );
            findings.push(
                Diagnostic::error(codes::LONG_MODEL_NAME, message)
                    .help("write `as = \"…\"` for the function, or give the tool a shorter name")
                    .at(span),
            );
            continue;
        }
        let first = *owner.entry(name.clone()).or_insert(&function.name);
        // Two names that the manifest gives are found without the component already.
        let renamed = |name: &str| lowered.policy.function(name).rename.is_some();
        if first != function.name && !(renamed(first) && renamed(&function.name)) {
            let message = format!("`{first}` and `{}` are both `{name}` to a model", function.name);
            findings.push(
                Diagnostic::error(codes::SAME_MODEL_NAME, message)
                    .help("write another `as = \"…\"`")
                    .at(span),
            );
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{HostFile, Manifest, Presets, Words};

    fn function(name: &str, interface: Option<&str>, params: &[&str], cases: Option<&[&str]>) -> FunctionShape {
        FunctionShape {
            name: name.to_owned(),
            interface: interface.map(str::to_owned),
            params: params
                .iter()
                .map(|&name| (name.to_owned(), "string".to_owned()))
                .collect(),
            result: Some("result<string, error>".to_owned()),
            error_cases: cases.map(|cases| cases.iter().map(|&case| case.to_owned()).collect()),
        }
    }

    /// A component with a plain function, two of one name, and one that cannot be called.
    pub(crate) fn shape() -> ComponentShape {
        ComponentShape {
            functions: vec![
                function("query", None, &["text", "limit"], Some(&["rate-limited", "not-found"])),
                function("api.get", Some("acme:search/api@1.0.0"), &["id"], None),
                function("admin.get", Some("acme:search/admin@1.0.0"), &["id"], None),
            ],
            left_out: vec![("follow".to_owned(), "its result is a stream".to_owned())],
            ..ComponentShape::default()
        }
    }

    fn check(text: &str, shape: &ComponentShape) -> Vec<(&'static str, String)> {
        let text = format!("name = \"search\"\ncomponent = \"search.wasm\"\n{text}");
        let mut manifest = Manifest::draft("search.toml", &text, &Presets::embedded(), &HostFile::default());
        manifest.check_component(shape, &Words::default());
        let (_, findings) = manifest.finish();
        findings
            .into_iter()
            .map(|finding| (finding.code, finding.help.unwrap_or_default()))
            .collect()
    }

    fn has(found: &[(&str, String)], code: &str, help: &str) -> bool {
        found
            .iter()
            .any(|(found, advice)| *found == code && advice.contains(help))
    }

    #[test]
    fn each_way_to_miss_the_component_has_its_code_and_advice() {
        for (text, code, help) in [
            ("[functions.qeury]", codes::NOT_EXPORTED, "`query`"),
            ("[functions.\"api.query\"]", codes::NOT_EXPORTED, "write `query`"),
            ("[functions.nothing-like-it]", codes::NOT_EXPORTED, "`admin.get`"),
            ("[functions.get]", codes::AMBIGUOUS_FUNCTION, "`api.get`, `admin.get`"),
            ("[functions.follow]", codes::NAMES_LEFT_OUT, "plain values"),
            (
                "[functions.query.errors]\nrate-limit = \"throttled\"",
                codes::UNKNOWN_ERROR_CASE,
                "`rate-limited`",
            ),
            (
                "[functions.\"api.get\".errors]\nx = \"caller\"",
                codes::NO_ERROR_TYPE,
                "leave `errors` out",
            ),
            ("[functions.query.params]\ntxt = \"x\"", codes::UNKNOWN_PARAM, "`text`"),
            (
                "[functions.query]\nas = \"search_api_get\"",
                codes::SAME_MODEL_NAME,
                "another",
            ),
        ] {
            let found = check(text, &shape());
            assert!(has(&found, code, help), "{text}: {found:?}");
        }
        assert!(!has(&check("[functions.query]", &shape()), codes::NOT_EXPORTED, ""));
    }

    #[test]
    fn a_component_that_cannot_run_is_refused_by_name() {
        let bare = ComponentShape {
            missing_imports: vec!["acme:db/store".to_owned()],
            ..ComponentShape::default()
        };
        let found = check("", &bare);
        assert!(
            has(&found, codes::MISSING_IMPORT, "") && has(&found, codes::NO_FUNCTION, ""),
            "{found:?}"
        );
    }

    #[test]
    fn what_a_model_would_see_undescribed_or_not_at_all_is_said() {
        let found = check("[functions.query]\ndescription = \"Search\"\n", &shape());
        let count = |code| found.iter().filter(|(found, _)| *found == code).count();
        assert_eq!(count(codes::LEFT_OUT), 1);
        assert_eq!(
            (count(codes::UNDESCRIBED_FUNCTION), count(codes::UNDESCRIBED_PARAM)),
            (2, 3)
        );
        assert!(
            has(&found, codes::UNDESCRIBED_FUNCTION, "[functions.\"api.get\"]"),
            "{found:?}"
        );
    }

    #[test]
    fn names_towards_models_fit_or_are_refused() {
        let mut long = shape();
        long.functions[0].name = "a".repeat(58);
        let found = check("", &long);
        assert!(has(&found, codes::LONG_MODEL_NAME, "as ="), "{found:?}");
        long.functions[0].name = "a".repeat(57);
        assert!(!has(&check("", &long), codes::LONG_MODEL_NAME, ""));
    }
}
