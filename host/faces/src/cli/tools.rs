//! `fusebox tools`: what is deployed, what it offers, and whether it takes calls.

use super::moments::{amount, moment};
use super::output::short;
use super::{Context, Failed, call};
use clap::Subcommand;
use fusebox_core::component::FunctionShape;
use fusebox_engine::host::{Host, ToolView};
use fusebox_engine::ports::sandbox::Component;
use fusebox_engine::ports::store::ToolChange;
use fusebox_engine::records::ToolRecord;
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
        Command::Show { tool } => show(&tool, &host, cx).await,
        Command::Enable { tool } => change(&tool, ToolChange::Enable, "takes calls", &host, cx).await,
        Command::Disable { tool } => change(&tool, ToolChange::Disable, "refuses calls", &host, cx).await,
        Command::Remove { tool, yes } => {
            if !yes && !cx.confirm(&format!("forget `{tool}` with all its versions?"))? {
                return Err(Failed::usage(
                    "nothing was removed",
                    "add --yes to remove it without being asked",
                ));
            }
            change(&tool, ToolChange::Remove, "is forgotten", &host, cx).await
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
        cx.note("no tools; `fusebox deploy FILE.toml` deploys one");
    }
    Ok(())
}

async fn change(name: &str, change: ToolChange, word: &str, host: &Host, cx: &mut Context<'_>) -> Result<(), Failed> {
    host.change_tool(&cx.caller, name, change).await?;
    if cx.out.json() {
        return Ok(cx.out.value(&json!({ "tool": name, "state": word }))?);
    }
    cx.note(&format!("{name} {word}"));
    Ok(())
}

async fn show(text: &str, host: &Host, cx: &mut Context<'_>) -> Result<(), Failed> {
    let (name, only) = match text.contains('.') {
        true => call::target(text).map(|(tool, function)| (tool, Some(function)))?,
        false => (text.to_owned(), None),
    };
    let tool = host.tool(&cx.caller, &name).await?;
    let wanted = |function: &&FunctionShape| only.as_ref().is_none_or(|only| *only == function.name);
    let functions: Vec<_> = tool.component.shape().functions.iter().filter(wanted).collect();
    if functions.is_empty() {
        let known: Vec<_> = tool
            .component
            .shape()
            .functions
            .iter()
            .map(|function| function.name.as_str())
            .collect();
        return Err(Failed::usage(
            format!("`{name}` has no function `{}`", only.unwrap_or_default()),
            format!("write one of: {}", known.join(", ")),
        ));
    }
    if cx.out.json() {
        return Ok(cx.out.value(&whole_json(&tool, &functions))?);
    }
    head(&tool, cx)?;
    for function in functions {
        describe(&tool, function, cx)?;
        if only.is_some() {
            schemas(&tool, function, cx)?;
        }
    }
    Ok(())
}

fn head(tool: &ToolView, cx: &mut Context<'_>) -> Result<(), Failed> {
    let record = &tool.record;
    cx.out.line(format!(
        "{} {}  version {}  {}  {}",
        record.name,
        record.version,
        record.number,
        if record.enabled { "enabled" } else { "disabled" },
        record.component
    ))?;
    if let Some(text) = &tool.policy.description {
        cx.out.line(short(text, 500))?;
    }
    let facts = tool.component.facts();
    cx.out.line(format!(
        "deployed {} from {}; {}, {} compiled",
        moment(record.deployed),
        record.source,
        amount(facts.size),
        amount(facts.compiled_size)
    ))?;
    for service in &tool.policy.services {
        let hosts: Vec<_> = service
            .hosts
            .iter()
            .map(|origin| {
                format!(
                    "{}://{}:{}",
                    if origin.tls { "https" } else { "http" },
                    origin.host,
                    origin.port
                )
            })
            .collect();
        cx.out
            .line(format!("reaches {} at {}", service.name, hosts.join(", ")))?;
    }
    Ok(())
}

fn describe(tool: &ToolView, function: &FunctionShape, cx: &mut Context<'_>) -> Result<(), Failed> {
    let policy = tool.policy.function(&function.name);
    cx.out.line(format!("\n{}", signature(function)))?;
    if let Some(text) = &policy.description {
        cx.out.line(format!("  {}", short(text, 500)))?;
    }
    for (param, text) in &policy.params {
        cx.out.line(format!("  {param}: {}", short(text, 500)))?;
    }
    cx.out.line(format!(
        "  {}, retry {} ({} attempt(s)), durability {}; `fusebox policy explain {}.{}` says more",
        policy.idempotency.name(),
        policy.retry.preset,
        policy.retry.attempts,
        policy.durability.name(),
        tool.record.name,
        function.name
    ))?;
    Ok(())
}

fn schemas(tool: &ToolView, function: &FunctionShape, cx: &mut Context<'_>) -> Result<(), Failed> {
    let params = &tool.policy.function(&function.name).params;
    if let Some(schemas) = tool.component.schemas(&function.name, params) {
        let pretty = |value: &Value| serde_json::to_string_pretty(value).map_err(std::io::Error::other);
        cx.out.line(format!("\ninput schema\n{}", pretty(&schemas.input)?))?;
        if let Some(output) = &schemas.output {
            cx.out.line(format!("\noutput schema\n{}", pretty(output)?))?;
        }
    }
    Ok(())
}

fn whole_json(tool: &ToolView, functions: &[&FunctionShape]) -> Value {
    let functions: Vec<_> = functions
        .iter()
        .map(|function| {
            let policy = tool.policy.function(&function.name);
            let mut value = function_json(tool.component.as_ref(), function, &policy.params);
            value["description"] = json!(policy.description);
            value["idempotency"] = json!(policy.idempotency.name());
            value["durability"] = json!(policy.durability.name());
            value["retry"] = json!({ "preset": policy.retry.preset, "attempts": policy.retry.attempts });
            value
        })
        .collect();
    json!({ "tool": tool.record, "functions": functions })
}

/// A function with its types and JSON Schemas.
pub(super) fn function_json(
    component: &dyn Component,
    function: &FunctionShape,
    params: &BTreeMap<String, String>,
) -> Value {
    let schemas = component.schemas(&function.name, params);
    json!({
        "name": function.name,
        "interface": function.interface,
        "signature": signature(function),
        "errors": function.error_cases,
        "input-schema": schemas.as_ref().map(|schemas| &schemas.input),
        "output-schema": schemas.as_ref().and_then(|schemas| schemas.output.as_ref()),
    })
}

/// `query(text: string, limit: option<u32>) -> result<list<hit>, error>`.
pub(super) fn signature(function: &FunctionShape) -> String {
    let params: Vec<_> = function
        .params
        .iter()
        .map(|(name, kind)| format!("{name}: {kind}"))
        .collect();
    let result = function
        .result
        .as_ref()
        .map_or_else(String::new, |result| format!(" -> {result}"));
    format!("{}({}){result}", function.name, params.join(", "))
}
