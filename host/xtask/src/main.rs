//! `cargo xtask`: what a developer does with this repository, one subcommand each.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for a terminal"
)]

mod bench;
mod clients;
mod demo;
mod deployment;
mod dist;
mod folders;
mod guests;
mod load;
mod packages;
mod process;
mod readme;
mod scale;
mod stage;
mod steps;
mod test;
mod tools;
mod wasm_target;
mod wrk;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What a developer does with this repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run real tools against upstreams that fail in the usual ways, and count what happened
    Demo,
    /// Everything that has to hold: format, lints, tests, docs, licences
    Test,
    Guests(guests::Arguments),
    Clients(clients::Arguments),
    Load(load::Arguments),
    Scale(scale::Arguments),
    Readme(readme::Arguments),
    Dist(dist::Arguments),
    /// Have the files of `deploy/` checked by linters and schemas of others
    Deployment,
    /// What the call boundary costs, as one table of ratios
    Bench,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Demo => demo::run(),
        Task::Test => test::run(),
        Task::Guests(arguments) => guests::run(&arguments),
        Task::Clients(arguments) => clients::run(&arguments),
        Task::Load(arguments) => load::run(&arguments),
        Task::Scale(arguments) => scale::run(&arguments),
        Task::Readme(arguments) => readme::run(&arguments),
        Task::Dist(arguments) => dist::run(&arguments),
        Task::Deployment => deployment::check(),
        Task::Bench => bench::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
