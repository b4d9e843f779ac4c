//! A server as a process: prints the URL of an empty database when it is ready, and stops it when its standard input ends, as it does with the
//! process that started it.

use fusebox_test_postgres::{Durability, Server};
use std::io::{Read as _, Write as _};

fn main() -> std::io::Result<()> {
    let server = Server::own(Durability::Full);
    let mut out = std::io::stdout();
    writeln!(out, "{}", server.url("postgres"))?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
