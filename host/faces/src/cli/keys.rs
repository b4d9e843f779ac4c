//! `fusebox keys`: who may ask a host, and as what.

use super::moments::{moment, parse_duration, relative};
use super::{Context, Failed, identity};
use clap::{Args, Subcommand};
use fusebox_core::role::{Role, Roles};
use fusebox_engine::host::NewKey;
use fusebox_engine::records::KeyRecord;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// What is done with API keys.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a key; its token is printed once, alone on stdout
    #[command(after_help = "\
Examples:
  fusebox keys create ci --role caller --expires 90d > ci.key
  fusebox keys create ann --role approver
  fusebox keys create ops --role operator,deployer

Roles: caller calls tools and sees its own runs; approver decides what waits for a person; operator looks after runs, dead letters, \
breakers, keys; deployer deploys tools. Two keys may have one name, so that a new one can take an old one's place.")]
    Create(Create),
    /// List keys, those that are good no longer too; tokens are never shown
    List(Whose),
    /// Revoke a key: it opens nothing any more, at once
    #[command(after_help = "Example:\n  fusebox keys revoke 01jd4m9q7gk0")]
    Revoke {
        /// Its id, as `fusebox keys list` prints it
        id: String,
        #[command(flatten)]
        whose: Whose,
    },
}

/// A key that is wanted.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// What people call it; whoever has it is `key:NAME`
    name: String,
    /// What whoever has it may be: caller, approver, operator, deployer; several are separated by commas
    #[arg(long, required = true, value_parser = role, value_delimiter = ',', value_name = "ROLES")]
    role: Vec<Role>,
    /// How long it is good, such as 90d; otherwise until it is revoked
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    expires: Option<Duration>,
    #[command(flatten)]
    whose: Whose,
}

/// Whose keys are meant.
#[derive(Debug, Default, Args)]
pub(super) struct Whose {
    /// Of another tenant than your own; on the host's own machine only
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

impl Whose {
    /// Whoever types, as one of that tenant: the machine's own host has every tenant. A remote host is asked for its caller's tenant alone.
    pub(super) fn become_theirs(self, cx: &mut Context<'_>) -> Result<(), Failed> {
        let Some(tenant) = self.tenant else { return Ok(()) };
        if cx.wiring.remote().is_some() {
            return Err(Failed::usage(
                "the key that is sent to a remote host tells the tenant",
                "leave --tenant out, or type this on the host's own machine",
            ));
        }
        cx.caller.tenant = Arc::from(tenant);
        Ok(())
    }
}

fn role(text: &str) -> Result<Role, String> {
    let names = || Role::ALL.map(Role::name).join(", ");
    Role::from_name(text).ok_or_else(|| format!("roles are {}", names()))
}

/// Runs the command.
///
/// # Errors
/// What the host refused.
pub(super) async fn run(command: Command, cx: &mut Context<'_>) -> Result<(), Failed> {
    match command {
        Command::Create(create) => self::create(create, cx).await,
        Command::List(whose) => list(whose, cx).await,
        Command::Revoke { id, whose } => revoke(&id, whose, cx).await,
    }
}

async fn create(create: Create, cx: &mut Context<'_>) -> Result<(), Failed> {
    create.whose.become_theirs(cx)?;
    let host = cx.wiring.host().await?;
    let new = NewKey {
        name: create.name,
        roles: create.role.into_iter().collect::<Roles>(),
        expires: create.expires,
        tenant: None,
    };
    // Else whoever may not approve would make a key that may.
    if new.roles.has(Role::Approver) && cx.wiring.remote().is_none() && identity::is_guarded(cx).await? {
        identity::approver("make an approver's key", cx).await?;
    }
    let (key, token) = host.create_key(&cx.caller, new).await?;
    let good = key.expires.map_or_else(
        || "until it is revoked".to_owned(),
        |at| format!("until {}", moment(at)),
    );
    cx.note(&format!(
        "key {} (`{}`, tenant {}) is {}, {good}; its token is shown this once",
        key.id,
        key.name,
        key.tenant,
        roles_of(&key)
    ));
    if cx.out.json() {
        return Ok(cx.out.value(&json!({ "key": key, "token": token }))?);
    }
    Ok(cx.out.line(token)?)
}

async fn list(whose: Whose, cx: &mut Context<'_>) -> Result<(), Failed> {
    whose.become_theirs(cx)?;
    let keys = cx.wiring.host().await?.keys(&cx.caller).await?;
    let now = cx.now();
    cx.out
        .rows(&["key", "name", "roles", "state", "created", "expires"], &keys, |key| {
            vec![
                key.id.clone(),
                key.name.clone(),
                roles_of(key),
                key.state(now).to_owned(),
                moment(key.created),
                key.expires.map_or_else(|| "never".to_owned(), |at| relative(at, now)),
            ]
        })?;
    if keys.is_empty() && !cx.out.json() {
        cx.note("no keys: `fusebox keys create NAME --role caller` makes one");
    }
    Ok(())
}

async fn revoke(id: &str, whose: Whose, cx: &mut Context<'_>) -> Result<(), Failed> {
    whose.become_theirs(cx)?;
    let host = cx.wiring.host().await?;
    // Else whoever may not approve would first do away with those who may.
    if cx.wiring.remote().is_none() {
        let now = cx.now();
        let keys = host.keys(&cx.caller).await?;
        if keys.iter().any(|key| key.id == id && identity::approves(key, now)) {
            identity::approver("revoke an approver's key", cx).await?;
        }
    }
    let key = host.revoke_key(&cx.caller, id).await?;
    cx.note(&format!("key {} (`{}`) opens nothing any more", key.id, key.name));
    if cx.out.json() {
        cx.out.value(&key)?;
    }
    Ok(())
}

fn roles_of(key: &KeyRecord) -> String {
    let names: Vec<_> = key.roles.iter().map(Role::name).collect();
    names.join(", ")
}
