//! The README's agent that is a program: a host serves, the agent has a key of its own, and its model is the simulator's.

use super::Surroundings;
use super::blocks::Blocks;
use crate::stage::{Serving, Simulator};
use crate::{clients, process, steps};
use anyhow::{Context, Result, ensure};
use std::fs;

/// Where the README's host listens, and its agent looks for it.
const ADDRESS: &str = "http://127.0.0.1:7717";

/// Makes a key and serves as the README says, and runs its program; all is as it stands there but the port, which may be taken.
///
/// # Errors
/// A command or a program that fails, or an answer without what the tool has counted.
pub(super) fn check(blocks: &Blocks, here: &Surroundings<'_>) -> Result<()> {
    let (key, serve) = blocks
        .get("serve")?
        .split_once('\n')
        .context("the README makes a key and serves")?;
    let key = process::output(here.command("sh").args(["-euc", key]))?;
    let mut serving = Serving::begin(
        here.command("sh")
            .args(["-euc", &format!("exec {serve}")])
            .env("FUSEBOX_LISTEN_HTTP", "127.0.0.1:0"),
        here.home.join("serve.log"),
    )?;
    let program = blocks.get("python-agent")?;
    ensure!(program.contains(ADDRESS), "the README's agent does not call {ADDRESS}");
    fs::write(here.home.join("agent.py"), program.replace(ADDRESS, &serving.url()?))?;
    let simulator = Simulator::start(&steps::binary("debug", "fusebox-simulator"))?;
    let answer = process::output(
        here.command("python3")
            .arg("agent.py")
            .env("PYTHONPATH", clients::python()?)
            .env("FUSEBOX_KEY", key.trim())
            .env(
                "OPENAI_BASE_URL",
                format!("http://127.0.0.1:{}/v1", simulator.port("llm")?),
            )
            .env("OPENAI_API_KEY", "llm-secret")
            // It would tell OpenAI of the run.
            .env("OPENAI_AGENTS_DISABLE_TRACING", "1"),
    )?;
    ensure!(
        answer.contains("words_count") && answer.contains(r#""words":"#),
        "the README's agent answers: {answer}"
    );
    ensure!(serving.drain()?.success(), "the host failed:\n{}", serving.said()?);
    Ok(())
}
