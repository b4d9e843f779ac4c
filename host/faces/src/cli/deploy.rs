//! `fusebox deploy`: validate, compile ahead of time, register by digest. All files are right, or nothing is changed.

use super::manifests::{self, Loaded};
use super::moments::amount;
use super::{Context, Failed};
use clap::Args;
use fusebox_core::failure::Code;
use fusebox_engine::host::Host;
use fusebox_engine::requests::{Deploy, Deployed, digest_of};
use fusebox_manifest::diagnostic::Diagnostic;
use fusebox_manifest::render::render;
use fusebox_manifest::{Lowered, NAMED_TWICE, UNDESCRIBED_FUNCTION, UNDESCRIBED_PARAM, grown};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is deployed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox deploy search.toml
  fusebox deploy tools/*.toml
  fusebox deploy search.toml --accept sha256:…    (where nobody can be asked whether it may do more than before)")]
pub(super) struct Arguments {
    /// Manifests of tools
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Accept that what has this digest, component and manifest, may do more than the version before
    #[arg(long, value_name = "DIGEST")]
    accept: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// All findings, or what the host refused.
pub(super) async fn run(arguments: Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let mut ready = Vec::new();
    let mut findings = Vec::new();
    let mut names: BTreeMap<String, PathBuf> = BTreeMap::new();
    for mut loaded in manifests::load(&arguments.files, cx).await? {
        let file = &loaded.path;
        if let Some(lowered) = &loaded.lowered
            && let Some(first) = names.insert(lowered.policy.name.clone(), file.clone())
        {
            loaded.findings.push(twice(lowered, &first));
        }
        findings.extend(loaded.findings.iter().cloned());
        ready.push(loaded);
    }
    if findings.iter().any(Diagnostic::is_error) {
        return Err(Failed::Findings(findings));
    }
    if !cx.out.json() {
        warn(findings, cx)?;
    }
    let host = cx.wiring.host().await?;
    for loaded in &ready {
        accepted(loaded, &arguments.accept, &host, cx).await?;
    }
    for loaded in callees_first(ready) {
        deploy(loaded, &host, cx).await?;
    }
    Ok(())
}

/// A tool after those that it calls: it is pinned to their versions.
fn callees_first(mut waiting: Vec<Loaded>) -> Vec<Loaded> {
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let names: Vec<String> = waiting.iter().filter_map(Loaded::name).map(str::to_owned).collect();
        let calls_none = |loaded: &Loaded| {
            let own = loaded.name();
            let mut called = loaded.lowered.iter().flat_map(|lowered| &lowered.policy.tools);
            !called.any(|grant| Some(grant.tool.as_str()) != own && names.contains(&grant.tool))
        };
        // Tools that call each other in a circle keep their order.
        let next = waiting.iter().position(calls_none).unwrap_or_default();
        ordered.push(waiting.remove(next));
    }
    ordered
}

/// Shows warnings; words that are missing for models hold nothing up, so they are counted only.
fn warn(findings: Vec<Diagnostic>, cx: &mut Context<'_>) -> Result<(), Failed> {
    let (words, findings): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|finding| [UNDESCRIBED_FUNCTION, UNDESCRIBED_PARAM].contains(&finding.code));
    cx.stderr.write_all(render(&findings, cx.style).as_bytes())?;
    if !words.is_empty() {
        cx.note(&format!(
            "note: models would see {} description(s) missing; `fusebox check FILE` says which",
            words.len()
        ));
    }
    Ok(())
}

fn twice(lowered: &Lowered, first: &std::path::Path) -> Diagnostic {
    Diagnostic::error(
        NAMED_TWICE,
        format!(
            "the tool `{}` is deployed by {} already",
            lowered.policy.name,
            first.display()
        ),
    )
    .at(lowered.provenance.span("name").cloned())
    .help("give one of them another name")
}

/// Asks whether a tool may do more than the version before it.
async fn accepted(loaded: &Loaded, accept: &[String], host: &Host, cx: &mut Context<'_>) -> Result<(), Failed> {
    let Some((lowered, wasm)) = loaded.lowered.as_ref().zip(loaded.wasm.as_ref()) else {
        return Ok(());
    };
    let before = match host.tool(&cx.caller, &lowered.policy.name).await {
        Ok(before) => before,
        Err(failure) if failure.code == Code::NotFound => return Ok(()),
        Err(failure) => return Err(failure.into()),
    };
    let more = grown(&before.policy, &lowered.policy);
    if more.is_empty() {
        return Ok(());
    }
    // What is accepted is this component under this manifest, and nothing else.
    let component = digest_of(wasm);
    let digest = digest_of(format!("{component}\n{}", loaded.text).as_bytes()).to_string();
    cx.note(&format!(
        "{} may now do what version {} could not:",
        lowered.policy.name, before.record.number
    ));
    for sentence in &more {
        cx.note(&format!("  {sentence}"));
    }
    if accept.contains(&digest) || cx.confirm("deploy it?")? {
        return Ok(());
    }
    Err(Failed::usage(
        format!(
            "nothing was deployed: `{}` would be able to do more than before",
            lowered.policy.name
        ),
        format!("read the list above; then add --accept {digest}"),
    ))
}

async fn deploy(loaded: Loaded, host: &Host, cx: &mut Context<'_>) -> Result<(), Failed> {
    let Some((lowered, wasm)) = loaded.lowered.zip(loaded.wasm) else {
        return Ok(());
    };
    let deploy = Deploy {
        wasm,
        manifest: loaded.text,
        source: loaded.path.display().to_string(),
        policy: lowered.policy,
        links: loaded.links,
    };
    let deployed = host.deploy(&cx.caller, deploy).await?;
    show(&deployed, &lowered.widens, &loaded.findings, cx)
}

fn show(deployed: &Deployed, widens: &[String], findings: &[Diagnostic], cx: &mut Context<'_>) -> Result<(), Failed> {
    let tool = &deployed.tool;
    let functions: Vec<_> = deployed
        .shape
        .functions
        .iter()
        .map(|shape| shape.name.as_str())
        .collect();
    if cx.out.json() {
        return Ok(cx.out.value(&json!({
            "tool": tool.name,
            "number": tool.number,
            "version": tool.version,
            "component": tool.component.to_string(),
            "new": deployed.new,
            "functions": functions,
            "left-out": deployed.shape.left_out,
            "size": deployed.facts.size,
            "compiled-size": deployed.facts.compiled_size,
            "unpooled": deployed.facts.unpooled,
            "widens": widens,
            "findings": findings.iter().map(Diagnostic::to_json).collect::<Vec<_>>(),
        }))?);
    }
    let word = if deployed.new { "deployed" } else { "unchanged" };
    cx.out.line(format!(
        "{word} {} {} (version {}, {})",
        tool.name, tool.version, tool.number, tool.component
    ))?;
    cx.out.line(format!(
        "  {} function(s): {}; {}, {} compiled",
        functions.len(),
        functions.join(", "),
        amount(deployed.facts.size),
        amount(deployed.facts.compiled_size)
    ))?;
    for (function, reason) in &deployed.shape.left_out {
        cx.note(&format!("warning: {function} is left out: {reason}"));
    }
    if let Some(reason) = &deployed.facts.unpooled {
        cx.note(&format!(
            "note: {} does not fit the pool and starts a little slower: {reason}",
            tool.name
        ));
    }
    if !tool.enabled {
        cx.note(&format!(
            "note: {} stays disabled; `fusebox tools enable {}` lets it take calls",
            tool.name, tool.name
        ));
    }
    for sentence in widens {
        cx.note(&format!("note: {sentence}"));
    }
    Ok(())
}
