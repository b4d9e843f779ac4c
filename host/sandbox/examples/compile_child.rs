//! The compiler's process by itself: what the `fusebox` program is when it compiles, for tests of this crate.

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    match fusebox_sandbox::compile_child(io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
