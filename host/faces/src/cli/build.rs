//! `fusebox build`: runs the commands of a manifest in its folder, and checks the component that came of them.

mod commands;

use super::{Context, Failed, manifests, place};
use crate::dto::tool_detail::signature;
use clap::Args;
use commands::{Command, split};
use fusebox_manifest::diagnostic::Diagnostic;
use fusebox_manifest::render::render;
use fusebox_manifest::{Build, Manifest};
use serde_json::json;
use std::path::{Path, PathBuf};

/// What is built.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox build                 (the tool in this folder)
  fusebox build words
  fusebox build words/words.toml

It runs `build.command` of the manifest on this machine, as you: each line is one command, run in the manifest's folder and without a \
shell. Secrets and keys of Fusebox are not in its environment.")]
pub(super) struct Arguments {
    /// A tool's folder, or its manifest
    #[arg(default_value = ".", value_name = "FOLDER|MANIFEST")]
    tool: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// A manifest that is wrong or says nothing about building, a command that failed, or what is wrong with the component.
pub(super) async fn run(arguments: &Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let path = place::manifest(&arguments.tool)?;
    let build = read(&path, cx)?;
    let commands = split(&build.command).map_err(|problem| {
        Failed::usage(
            format!("`build.command` of {}: {problem}", path.display()),
            "write one command a line; quotes hold words together that have spaces in them",
        )
    })?;
    let folder = folder(&path)?;
    let private = cx.wiring.private_variables()?;
    for command in &commands {
        cx.note(&format!("{}$ {command}", folder_shown(&path)));
        execute(command, &folder, &private, &build, cx).await?;
    }
    checked(&path, cx).await
}

/// What the manifest says of building, when it is right as far as that can be told without the component.
fn read(path: &Path, cx: &Context<'_>) -> Result<Build, Failed> {
    let text = manifests::read_manifest(path)?;
    let source = path.display().to_string();
    let (lowered, findings) = Manifest::read(&source, &text, cx.wiring.presets()?, cx.wiring.settings()?);
    let lowered = lowered.ok_or(Failed::Findings(findings))?;
    lowered.build.ok_or_else(|| {
        Failed::usage(
            format!("{source} does not say how its component is built"),
            "add `[build]` with `command = \"…\"`, or build the component by hand",
        )
    })
}

fn folder(path: &Path) -> Result<PathBuf, Failed> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    folder.canonicalize().map_err(|error| {
        Failed::file(
            format!("the folder {} cannot be entered: {error}", folder.display()),
            "name the folder of a tool",
        )
    })
}

/// The manifest's folder before each command, unless it is this one.
fn folder_shown(path: &Path) -> String {
    path.parent()
        .map(|folder| folder.display().to_string())
        .filter(|folder| !folder.is_empty())
        .map_or_else(String::new, |folder| format!("{folder} "))
}

/// Runs one command; what it prints goes to stderr, since it is not data.
async fn execute(
    command: &Command,
    folder: &Path,
    private: &[String],
    build: &Build,
    cx: &Context<'_>,
) -> Result<(), Failed> {
    let help = || {
        build
            .help
            .clone()
            .unwrap_or_else(|| "what it printed says why; `build.command` of the manifest is what was run".to_owned())
    };
    let mut child = command.start(folder, private).map_err(|error| {
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no program `{}`", command.program()),
            _ => format!("`{}` cannot be started: {error}", command.program()),
        };
        Failed::file(message, help())
    })?;
    let ended = tokio::select! {
        ended = child.wait() => ended,
        () = cx.stop.cancelled() => return Err(Failed::Interrupted),
    };
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failed::file(format!("`{command}` failed: {status}"), help())),
        Err(error) => Err(Failed::file(
            format!("`{command}` cannot be waited for: {error}"),
            help(),
        )),
    }
}

/// Checks what was built as `fusebox check` does, and says what comes next.
async fn checked(path: &Path, cx: &mut Context<'_>) -> Result<(), Failed> {
    let mut loaded = manifests::load(&[path.to_owned()], cx).await?;
    let Some(tool) = loaded.pop() else {
        return Ok(());
    };
    let (Some(lowered), Some(wasm), Some(component)) = (&tool.lowered, &tool.wasm, &tool.component) else {
        return Err(Failed::Findings(tool.findings));
    };
    let name = &lowered.policy.name;
    let functions = &component.shape().functions;
    if cx.out.json() {
        return Ok(cx.out.value(&json!({
            "tool": name,
            "manifest": path,
            "size": wasm.len(),
            "functions": functions.iter().map(|function| &function.name).collect::<Vec<_>>(),
            "findings": tool.findings.iter().map(Diagnostic::to_json).collect::<Vec<_>>(),
        }))?);
    }
    cx.stderr.write_all(render(&tool.findings, cx.style).as_bytes())?;
    for function in functions {
        cx.out.line(format!("{name}.{}", signature(function)))?;
    }
    cx.note(&format!("built {name}; next: fusebox deploy {}", path.display()));
    Ok(())
}
