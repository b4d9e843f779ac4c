//! `fusebox deploy`: validate, compile ahead of time, register by digest. All files are right, or nothing is changed.

use super::manifests;
use super::moments::amount;
use super::{Context, Failed};
use crate::api::Api;
use crate::deploying::{Refused, Upload};
use crate::dto::deployment::{Deployment, Growth};
use clap::Args;
use fusebox_manifest::diagnostic::Diagnostic;
use fusebox_manifest::render::render;
use fusebox_manifest::{UNDESCRIBED_FUNCTION, UNDESCRIBED_PARAM};
use std::path::PathBuf;

/// What is deployed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox deploy search.toml
  fusebox deploy tools/*.toml
  fusebox deploy search.toml --accept sha256:…    (where nobody can be asked whether it may do more than before)")]
pub(super) struct Arguments {
    /// Manifests of tools, or their folders
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
    let uploads = manifests::read(&arguments.files, cx)?;
    let host = cx.wiring.host().await?;
    let mut deployed = deploy(host.as_ref(), &uploads, &arguments.accept, cx).await;
    if let Err(Refused::Grew(grew)) = &deployed {
        let accept = accepted(grew, arguments.accept, cx)?;
        deployed = deploy(host.as_ref(), &uploads, &accept, cx).await;
    }
    let deployed = deployed?;
    if cx.out.json() {
        return Ok(deployed.iter().try_for_each(|deployment| cx.out.value(deployment))?);
    }
    warn(&deployed, cx)?;
    deployed.iter().try_for_each(|deployment| show(deployment, cx))
}

async fn deploy(
    host: &dyn Api,
    uploads: &[Upload],
    accept: &[String],
    cx: &mut Context<'_>,
) -> Result<Vec<Deployment>, Refused> {
    let names: Vec<_> = uploads.iter().map(|upload| upload.source.as_str()).collect();
    cx.progress(&format!("compiling {}", names.join(", ")));
    let deployed = host.deploy(&cx.caller, uploads.to_vec(), accept).await;
    cx.progress("");
    deployed
}

/// Asks whether tools may do more than the versions before them; says what is accepted with their consent.
fn accepted(grew: &[Growth], mut accept: Vec<String>, cx: &mut Context<'_>) -> Result<Vec<String>, Failed> {
    for growth in grew {
        cx.note(&format!(
            "{} may now do what version {} could not:",
            growth.tool, growth.before
        ));
        for sentence in &growth.more {
            cx.note(&format!("  {sentence}"));
        }
        if !cx.confirm("deploy it?")? {
            return Err(Failed::usage(
                format!(
                    "nothing was deployed: `{}` would be able to do more than before",
                    growth.tool
                ),
                format!("read the list above; then add --accept {}", growth.digest),
            ));
        }
        accept.push(growth.digest.clone());
    }
    Ok(accept)
}

/// Shows warnings; words that are missing for models hold nothing up, so they are counted only.
fn warn(deployed: &[Deployment], cx: &mut Context<'_>) -> Result<(), Failed> {
    let findings = deployed.iter().flat_map(|deployment| &deployment.findings);
    let (words, findings): (Vec<_>, Vec<_>) = findings
        .map(Diagnostic::from)
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

fn show(deployed: &Deployment, cx: &mut Context<'_>) -> Result<(), Failed> {
    let name = &deployed.tool;
    let word = if deployed.new { "deployed" } else { "unchanged" };
    cx.out.line(format!(
        "{word} {name} {} (version {}, {})",
        deployed.version, deployed.number, deployed.component
    ))?;
    cx.out.line(format!(
        "  {} function(s): {}; {}, {} compiled",
        deployed.functions.len(),
        deployed.functions.join(", "),
        amount(deployed.size),
        amount(deployed.compiled_size)
    ))?;
    for (function, reason) in &deployed.left_out {
        cx.note(&format!("warning: {function} is left out: {reason}"));
    }
    if let Some(reason) = &deployed.unpooled {
        cx.note(&format!(
            "note: {name} does not fit the pool and starts a little slower: {reason}"
        ));
    }
    if !deployed.enabled {
        cx.note(&format!(
            "note: {name} stays disabled; `fusebox tools enable {name}` lets it take calls"
        ));
    }
    for sentence in &deployed.widens {
        cx.note(&format!("note: {sentence}"));
    }
    Ok(())
}
