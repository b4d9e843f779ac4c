//! `fusebox doctor --host`: whether a host is reached, what it is, and for whom it takes the caller.

use super::place::at;
use super::{Remote, Way};
use crate::cli::{Checkup, Failed, State};
use crate::dto::who::Who;
use fusebox_core::failure::Code;
use tokio_util::sync::CancellationToken;

/// This command's own version.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// Looks at the way to a host, at its version, and at the roles of the key.
pub async fn checkup(way: Result<Option<Way>, Failed>, stop: CancellationToken) -> Vec<Checkup> {
    let (host, key, remote) = match way.map(Option::unwrap_or_default) {
        Ok(way) => (way.host.clone(), way.key.is_some(), Remote::new(&way, stop)),
        Err(failed) => (String::new(), false, Err(failed)),
    };
    let remote = match remote {
        Ok(remote) => remote,
        Err(failed) => {
            let (found, help) = failed.brief();
            return vec![said("host", State::Unwell, found, help)];
        }
    };
    match remote.connection.get::<Who>(&at(["whoami"])).await {
        Ok(who) => vec![
            well("host", format!("{host} answers")),
            version(&who.version),
            roles(&who, key),
        ],
        Err(failure) if failure.code == Code::Unauthenticated => vec![
            well("host", format!("{host} answers")),
            said(
                "key",
                State::Unwell,
                failure.message,
                "`fusebox keys create`, on the host's machine, makes one".to_owned(),
            ),
        ],
        Err(failure) => {
            let help = "`fusebox serve` prints the address that it listens at".to_owned();
            vec![said("host", State::Unwell, failure.message, help)]
        }
    }
}

fn version(theirs: &str) -> Checkup {
    if theirs == OWN {
        return well("version", format!("both are {OWN}"));
    }
    let found = format!("the host is Fusebox {theirs}, this command {OWN}");
    said(
        "version",
        State::Note,
        found,
        "what one of them does not know of yet is refused; use the same version".to_owned(),
    )
}

fn roles(who: &Who, key: bool) -> Checkup {
    let found = format!("{} of tenant {}: {}", who.principal, who.tenant, who.roles.join(", "));
    match (who.roles.is_empty(), key) {
        (true, _) => {
            let help = "an operator gives a key its roles: `fusebox keys create NAME --role caller`".to_owned();
            said(
                "key",
                State::Unwell,
                format!("{} of tenant {} has no role", who.principal, who.tenant),
                help,
            )
        }
        (false, true) => well("key", found),
        (false, false) => {
            let help = "the host lets anybody on its machine in (--open-loopback); FUSEBOX_KEY gives a key".to_owned();
            said("key", State::Note, format!("none was sent; {found}"), help)
        }
    }
}

fn well(what: &str, found: String) -> Checkup {
    Checkup {
        what: what.to_owned(),
        state: State::Well,
        found,
        help: None,
    }
}

fn said(what: &str, state: State, found: String, help: String) -> Checkup {
    Checkup {
        help: Some(help),
        state,
        ..well(what, found)
    }
}
