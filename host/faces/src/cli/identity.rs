//! Who decides when a command needs an approver. On a host's own machine whoever types may do everything, until there is an approver's key:
//! from then on an agent with a shell cannot approve itself.

use super::{Context, Failed};
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::role::Role;
use fusebox_core::time::Wall;
use fusebox_engine::records::KeyRecord;
use fusebox_engine::requests::Caller;

/// Whoever holds the approver's key that was given; whoever types, as long as the tenant has no such key. `what` is done with it.
///
/// # Errors
/// That an approver's key is needed, or that the one that was given opens nothing.
pub(super) async fn approver(what: &str, cx: &mut Context<'_>) -> Result<Caller, Failed> {
    if cx.wiring.remote().is_some() {
        // The host knows by the key that is sent to it.
        return Ok(cx.caller.clone());
    }
    let Some(token) = cx.wiring.key()? else {
        if is_guarded(cx).await? {
            return Err(needs_key(what, cx).into());
        }
        cx.note(
            "no approver has a key here, so whoever can type commands can approve; \
             `fusebox keys create NAME --role approver` makes one, and only with it is anything approved from then on",
        );
        return Ok(cx.caller.clone());
    };
    let holder = cx.wiring.local(what).await?.authenticate(&token).await?;
    if !holder.roles.has(Role::Approver) {
        let message = format!(
            "`{}` has not the role approver, which it takes to {what}",
            holder.principal
        );
        return Err(denied(message).into());
    }
    if holder.tenant != cx.caller.tenant {
        let message = format!(
            "`{}` is an approver of tenant `{}`, and this is about tenant `{}`",
            holder.principal, holder.tenant, cx.caller.tenant
        );
        return Err(denied(message).into());
    }
    Ok(holder)
}

/// Whether the caller's tenant has an approver's key that is good.
pub(super) async fn is_guarded(cx: &Context<'_>) -> Result<bool, Failed> {
    let now = cx.now();
    let keys = cx.wiring.host().await?.keys(&cx.caller).await?;
    Ok(keys.iter().any(|key| approves(key, now)))
}

/// Whether who has the key may approve at that time.
pub(super) fn approves(key: &KeyRecord, now: Wall) -> bool {
    key.roles.has(Role::Approver) && key.is_live(now)
}

fn needs_key(what: &str, cx: &Context<'_>) -> Box<Failure> {
    denied(format!(
        "it takes an approver's key of tenant `{}` to {what}: FUSEBOX_KEY or --key-file gives it",
        cx.caller.tenant
    ))
}

fn denied(message: String) -> Box<Failure> {
    Box::new(Failure::new(Code::Denied, Class::Control, message))
}
