//! `fusebox tools`: what is deployed, what it offers, and whether it takes calls.

use super::misspelt::{FIRST_TOOL, meant};
use super::moments::{amount, moment};
use super::output::short;
use super::{Context, Failed, call};
use crate::api::Api;
use crate::dto::tool_detail::{FunctionDetail, ToolDetail};
use clap::Subcommand;
use fusebox_engine::ports::store::ToolChange;
use fusebox_engine::records::ToolRecord;
use serde_json::{Value, json};

/// What is asked of tools.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List deployed tools
    List,
    /// Show a tool: its functions with types and policies; with TOOL.FUNCTION also its JSON Schemas
    #[command(after_help = "Examples:\n  fusebox tools show search\n  fusebox tools show search.query --json")]
    Show {
        /// TOOL or TOOL.FUNCTION
        tool: String,
    },
    /// Take calls again
    Enable {
        /// Name of the tool
        tool: String,
    },
    /// Refuse calls until it is enabled
    Disable {
        /// Name of the tool
        tool: String,
    },
    /// Forget a tool with all its versions; runs and letters stay
    Remove {
        /// Name of the tool
        tool: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// What the host refused.
pub(super) async fn run(command: Command, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    match command {
        Command::List => {
            let tools = host.tools(&cx.caller).await?;
            list(&tools, cx)
        }
        Command::Show { tool } => show(&tool, host.as_ref(), cx).await,
        Command::Enable { tool } => change(&tool, ToolChange::Enable, "takes calls", host.as_ref(), cx).await,
        Command::Disable { tool } => change(&tool, ToolChange::Disable, "refuses calls", host.as_ref(), cx).await,
        Command::Remove { tool, yes } => {
            if !yes && !cx.confirm(&format!("forget `{tool}` with all its versions?"))? {
                return Err(Failed::usage(
                    "nothing was removed",
                    "add --yes to remove it without being asked",
                ));
            }
            change(&tool, ToolChange::Remove, "is forgotten", host.as_ref(), cx).await
        }
    }
}

fn list(tools: &[ToolRecord], cx: &mut Context<'_>) -> Result<(), Failed> {
    cx.out.rows(
        &["tool", "version", "number", "state", "deployed", "component"],
        tools,
        |tool| {
            vec![
                tool.name.clone(),
                tool.version.clone(),
                tool.number.to_string(),
                if tool.enabled { "enabled" } else { "disabled" }.to_owned(),
                moment(tool.deployed),
                tool.component.to_string(),
            ]
        },
    )?;
    if tools.is_empty() && !cx.out.json() {
        cx.note(&format!(
            "no tools; `fusebox deploy FILE.toml` deploys one, {FIRST_TOOL}"
        ));
    }
    Ok(())
}

async fn change(
    name: &str,
    change: ToolChange,
    word: &str,
    host: &dyn Api,
    cx: &mut Context<'_>,
) -> Result<(), Failed> {
    host.change_tool(&cx.caller, name, change).await?;
    if cx.out.json() {
        return Ok(cx.out.value(&json!({ "tool": name, "state": word }))?);
    }
    cx.note(&format!("{name} {word}"));
    Ok(())
}

async fn show(text: &str, host: &dyn Api, cx: &mut Context<'_>) -> Result<(), Failed> {
    let (name, only) = match text.contains('.') {
        true => call::target(text).map(|(tool, function)| (tool, Some(function)))?,
        false => (text.to_owned(), None),
    };
    let mut tool = match host.tool(&cx.caller, &name).await {
        Ok(tool) => tool,
        Err(failure) => return Err(meant(failure, &name, host, &cx.caller).await.into()),
    };
    if let Some(only) = &only {
        let known: Vec<_> = tool
            .functions
            .iter()
            .map(|function| function.types.name.clone())
            .collect();
        tool.functions.retain(|function| function.types.name == *only);
        if tool.functions.is_empty() {
            return Err(Failed::usage(
                format!("`{name}` has no function `{only}`"),
                format!("write one of: {}", known.join(", ")),
            ));
        }
    }
    if cx.out.json() {
        return Ok(cx.out.value(&tool)?);
    }
    head(&tool, cx)?;
    for function in &tool.functions {
        describe(&name, function, cx)?;
        if only.is_some() {
            schemas(function, cx)?;
        }
    }
    Ok(())
}

fn head(tool: &ToolDetail, cx: &mut Context<'_>) -> Result<(), Failed> {
    let record = &tool.tool;
    cx.out.line(format!(
        "{} {}  version {}  {}  {}",
        record.name,
        record.version,
        record.number,
        if record.enabled { "enabled" } else { "disabled" },
        record.component
    ))?;
    if let Some(text) = &tool.description {
        cx.out.line(short(text, 500))?;
    }
    cx.out.line(format!(
        "deployed {} from {}; {}, {} compiled",
        moment(record.deployed),
        record.source,
        amount(tool.size),
        amount(tool.compiled_size)
    ))?;
    for service in &tool.services {
        cx.out
            .line(format!("reaches {} at {}", service.name, service.hosts.join(", ")))?;
    }
    Ok(())
}

fn describe(tool: &str, function: &FunctionDetail, cx: &mut Context<'_>) -> Result<(), Failed> {
    let types = &function.types;
    cx.out.line(format!("\n{}", types.signature))?;
    if let Some(text) = &function.description {
        cx.out.line(format!("  {}", short(text, 500)))?;
    }
    for (param, text) in &function.words {
        cx.out.line(format!("  {param}: {}", short(text, 500)))?;
    }
    cx.out.line(format!(
        "  {}, retry {} ({} attempt(s)), durability {}; `fusebox policy explain {tool}.{}` says more",
        function.idempotency, function.retry.preset, function.retry.attempts, function.durability, types.name
    ))?;
    Ok(())
}

fn schemas(function: &FunctionDetail, cx: &mut Context<'_>) -> Result<(), Failed> {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).map_err(std::io::Error::other);
    for (label, schema) in [
        ("input", &function.types.input_schema),
        ("output", &function.types.output_schema),
    ] {
        if let Some(schema) = schema {
            cx.out.line(format!("\n{label} schema\n{}", pretty(schema)?))?;
        }
    }
    Ok(())
}
