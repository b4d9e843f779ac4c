//! `fusebox policy`: the effective policy of one function, and the rules that say who may do what.

mod cases;
mod rules;

pub(super) use rules::shown;

use super::call::target;
use super::{Context, Failed, manifests};
use crate::dto::policy_row::PolicyRow;
use clap::{Args, Subcommand};
use fusebox_manifest::Row;
use std::path::PathBuf;

/// What is asked of policies.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the effective policy of a function: each value, who set it, and what cut it; without one, the rules in force
    #[command(after_help = "\
Examples:
  fusebox policy explain
  fusebox policy explain search.query
  fusebox policy explain query --manifest search.toml")]
    Explain {
        /// TOOL.FUNCTION of a deployed tool, or a function of the manifest
        target: Option<String>,
        /// A manifest that need not be deployed
        #[arg(long, value_name = "FILE", requires = "target")]
        manifest: Option<PathBuf>,
    },
    /// Try the rules in force with the cases of a file
    #[command(after_help = "\
Example:
  fusebox policy test policies/cases.toml

A case has principal, roles, action, function, input and what is expected: allow, deny or approval.")]
    Test {
        /// File of cases
        file: PathBuf,
    },
    /// Print the types that rules know of the deployed tools, as a Cedar schema for an editor
    Schema,
}

/// Runs the command.
///
/// # Errors
/// A tool or function that is not there, or files with errors.
pub(super) async fn run(arguments: Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let (target, manifest) = match arguments.command {
        Command::Explain { target: None, .. } => return rules::explain(cx).await,
        Command::Explain {
            target: Some(target),
            manifest,
        } => (target, manifest),
        Command::Test { file } => return cases::run(&file, cx).await,
        Command::Schema => return rules::schema(cx).await,
    };
    let rows = match manifest {
        Some(path) => of_file(&path, &target, cx).await?,
        None => of_deployed(&target, cx).await?,
    };
    if cx.out.json() {
        return Ok(rows.iter().try_for_each(|row| cx.out.value(row))?);
    }
    Ok(cx.out.table(&["key", "value", "set by"], &rows, |row| {
        let clamp = row.clamp.as_ref().map_or_else(String::new, |cut| format!("; {cut}"));
        vec![row.key.clone(), row.value.clone(), format!("{}{clamp}", row.set_by)]
    })?)
}

async fn of_file(path: &std::path::Path, function: &str, cx: &mut Context<'_>) -> Result<Vec<PolicyRow>, Failed> {
    let mut findings = Vec::new();
    for loaded in manifests::load(&[path.to_owned()], cx).await? {
        if let Some((lowered, component)) = loaded.lowered.zip(loaded.component) {
            let functions = component.shape().functions.iter().map(|shape| shape.name.as_str());
            known(&lowered.policy.name, function, functions)?;
            return Ok(lowered.explain(function).iter().map(PolicyRow::from).collect());
        }
        findings.extend(loaded.findings);
    }
    Err(Failed::Findings(findings))
}

async fn of_deployed(text: &str, cx: &mut Context<'_>) -> Result<Vec<PolicyRow>, Failed> {
    let (tool, function) = target(text)?;
    let host = cx.wiring.host().await?;
    let found = host.tool(&cx.caller, &tool).await?;
    known(
        &tool,
        &function,
        found.functions.iter().map(|known| known.types.name.as_str()),
    )?;
    Ok(host.explain(&cx.caller, &tool, &function).await?)
}

fn known<'a>(tool: &str, function: &str, functions: impl Iterator<Item = &'a str> + Clone) -> Result<(), Failed> {
    if functions.clone().any(|known| known == function) {
        return Ok(());
    }
    Err(Failed::usage(
        format!("`{tool}` has no function `{function}`"),
        format!("write one of: {}", functions.collect::<Vec<_>>().join(", ")),
    ))
}

/// A value, who set it, and what cut it.
pub(super) fn row(row: &Row) -> Vec<String> {
    let clamp = row
        .clamp
        .as_ref()
        .map_or_else(String::new, |clamp| format!("; {clamp}"));
    vec![row.key.clone(), row.value.clone(), format!("{}{clamp}", row.set_by)]
}
