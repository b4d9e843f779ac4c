//! The simulator as a process: prints its ports as one JSON line when it is ready, and serves until it is ended.

use clap::Parser;
use fusebox_simulator::Simulator;
use std::io::Write as _;

/// Upstream services on 127.0.0.1 that fail on command.
#[derive(Parser)]
struct Arguments {
    /// Port of the admin API; search, llm, mail and ledger take the next four. 0: five free ports.
    #[arg(long, default_value_t = 8800)]
    base_port: u16,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let simulator = Simulator::start(Arguments::parse().base_port).await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::to_string(&simulator.ports())?)?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
