//! The `fusebox` binary.

mod blobs;
mod config;
mod database;
mod doctor;
mod encryption;
#[cfg(feature = "failpoints")]
mod failpoints;
mod log;
mod metrics;
mod open_files;
mod policies;
mod secrets;
mod signals;
mod traces;
mod wire;

use config::Environment;
use fusebox_engine::ports::clock::SystemClock;
use fusebox_engine::requests::Caller;
use fusebox_faces::cli::{Context, Look, Output, When, parse};
use fusebox_manifest::render::{Style, render};
use std::io::{BufReader, IsTerminal, Write};
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;
use wire::Process;

/// The hidden first argument of the process that compiles a component for another one.
const COMPILE: &str = "__compile";

fn main() -> ExitCode {
    let line: Vec<_> = std::env::args_os().collect();
    if line.get(1).is_some_and(|word| word == COMPILE) {
        return compile();
    }
    let (cli, flags) = match parse(line) {
        Ok(parsed) => parsed,
        Err(error) => {
            // Nobody may read stderr; the exit code says it too.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                fusebox_faces::outcome::EXIT_USAGE
            } else {
                0
            });
        }
    };
    let environment = Environment::read(&cli, flags);
    let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    let terminal = stdout.is_terminal();
    let coloured = |terminal: bool| match cli.global.color {
        When::Always => true,
        When::Never => false,
        When::Auto => terminal && !environment.no_color,
    };
    let look = Look {
        json: cli.global.json,
        terminal,
        colour: coloured(terminal),
    };
    let style = if coloured(stderr.is_terminal()) {
        Style::Colour
    } else {
        Style::Plain
    };
    let mut answers =
        (std::io::stdin().is_terminal() && stderr.is_terminal()).then(|| BufReader::new(std::io::stdin()));
    let process = Process::new(environment);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(stderr, "error: the system refuses threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    process.start_log(style == Style::Colour, runtime.handle());
    if let Ok(config) = process.config()
        && !look.json
    {
        // Nobody may read stderr; a warning stops nothing.
        let _ = stderr.write_all(render(&config.warnings, style).as_bytes());
    }
    let watched = stderr.is_terminal();
    let stop = CancellationToken::new();
    let mut context = Context {
        wiring: &process,
        out: Output::new(look, &mut stdout),
        caller: Caller::local(),
        stderr: &mut stderr,
        style,
        answers: answers
            .as_mut()
            .map(|answers| answers as &mut (dyn std::io::BufRead + Send)),
        watched,
        clock: SystemClock::new(),
        stop: stop.clone(),
    };
    let drains = cli.drains();
    let end = runtime.block_on(async {
        let work = Box::pin(async {
            let end = cli.run(&mut context).await;
            process.close().await;
            end
        });
        let stopped = || {
            stop.cancel();
            if !drains {
                process.stop();
            }
        };
        signals::heed(work, stopped).await
    });
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            failed.show(&mut context.out, context.stderr, style);
            ExitCode::from(failed.exit())
        }
    }
}

/// Compiles what comes on stdin and writes the code to stdout, under limits that the process sets itself.
fn compile() -> ExitCode {
    match fusebox_sandbox::compile_child(&mut std::io::stdin().lock(), &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
