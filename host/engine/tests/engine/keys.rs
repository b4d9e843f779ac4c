//! API keys: who somebody is who has one, and for how long.

use crate::world::*;
use fusebox_core::failure::Code;
use fusebox_core::role::{Role, Roles};
use fusebox_engine::host::NewKey;
use fusebox_engine::ports::store::AuditFilter;
use fusebox_engine::requests::Caller;
use std::sync::Arc;
use std::time::Duration;

fn roles(roles: &[Role]) -> Roles {
    roles.iter().copied().collect()
}

fn new(name: &str, of: &[Role]) -> NewKey {
    NewKey {
        name: name.to_owned(),
        roles: roles(of),
        expires: None,
        tenant: None,
    }
}

async fn world() -> World {
    World::answering(|_, _| panic!("nothing is sent")).await
}

#[tokio::test(start_paused = true)]
async fn whoever_has_a_key_is_who_it_says() {
    let world = world().await;
    let acme = Caller {
        tenant: Arc::from("acme"),
        ..Caller::local()
    };
    let (key, token) = world.host.create_key(&acme, new("ci", &[Role::Caller])).await.unwrap();
    let caller = world.host.authenticate(&token).await.unwrap();
    assert_eq!((&*caller.tenant, &*caller.principal), ("acme", "key:ci"));
    assert_eq!(caller.roles, roles(&[Role::Caller]));
    assert_eq!(world.host.keys(&acme).await.unwrap(), std::slice::from_ref(&key));
    assert!(world.host.keys(&Caller::local()).await.unwrap().is_empty());
    // Another tenant's key is as if it were not there.
    let refused = world.host.revoke_key(&Caller::local(), &key.id).await.unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
    assert!(world.host.authenticate(&token).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_wrong_anywhere_opens_nothing_and_is_not_repeated() {
    let world = world().await;
    let caller = Caller::local();
    let (one, token) = world.host.create_key(&caller, new("a", &[Role::Caller])).await.unwrap();
    let (other, _) = world.host.create_key(&caller, new("b", &[Role::Caller])).await.unwrap();
    let secret = &token[17..];
    let last = if token.ends_with('A') { "B" } else { "A" };
    for wrong in [
        String::new(),
        "fbx_".to_owned(),
        format!("{}{last}", &token[..token.len() - 1]),
        token.replace(&one.id, &other.id),
        token.replace(&one.id, "000000000000"),
        format!("Bearer {token}"),
    ] {
        let refused = world.host.authenticate(&wrong).await.unwrap_err();
        assert_eq!(refused.code, Code::Unauthenticated, "{wrong}");
        assert_eq!(refused.message, "that is no API key of this host");
    }
    let shown = format!("{:?}", world.host.keys(&caller).await.unwrap());
    assert!(!shown.contains(secret));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_expired_or_was_revoked_opens_nothing_from_then_on() {
    let world = world().await;
    let caller = Caller::local();
    let expiring = NewKey {
        expires: Some(Duration::from_secs(60)),
        ..new("short", &[Role::Caller])
    };
    let (_, token) = world.host.create_key(&caller, expiring).await.unwrap();
    world.pass(Duration::from_secs(59)).await;
    assert!(world.host.authenticate(&token).await.is_ok());
    world.pass(Duration::from_secs(1)).await;
    let refused = world.host.authenticate(&token).await.unwrap_err();
    assert_eq!(refused.code, Code::Unauthenticated);
    assert!(refused.message.contains("is expired"), "{}", refused.message);

    let (key, token) = world
        .host
        .create_key(&caller, new("long", &[Role::Caller]))
        .await
        .unwrap();
    assert!(world.host.authenticate(&token).await.is_ok());
    // On another host of the database, at once.
    let other = world.another(Arc::clone(&world.store), 2).await;
    other.host.revoke_key(&caller, &key.id).await.unwrap();
    let refused = world.host.authenticate(&token).await.unwrap_err();
    assert_eq!(refused.code, Code::Unauthenticated);
    assert!(refused.message.contains("is revoked"), "{}", refused.message);
}

#[tokio::test(start_paused = true)]
async fn nobody_gives_a_key_what_they_do_not_have() {
    let world = world().await;
    let operator = Caller {
        principal: Arc::from("key:ops"),
        roles: roles(&[Role::Operator]),
        ..Caller::local()
    };
    let denied = |name: &str, of: &[Role]| world.host.create_key(&operator, new(name, of));
    let refused = denied("more", &[Role::Operator, Role::Approver]).await.unwrap_err();
    assert_eq!(refused.code, Code::Denied);
    assert!(refused.message.contains("approver"), "{}", refused.message);
    let elsewhere = NewKey {
        tenant: Some("acme".to_owned()),
        ..new("there", &[Role::Operator])
    };
    let refused = world.host.create_key(&operator, elsewhere).await.unwrap_err();
    assert_eq!(refused.code, Code::Denied);
    for (name, of) in [("a b", &[Role::Operator][..]), ("", &[Role::Operator]), ("none", &[])] {
        assert_eq!(denied(name, of).await.unwrap_err().code, Code::BadInput, "{name}");
    }
    assert!(world.host.keys(&operator).await.unwrap().is_empty());
    // What was refused left no trace of a deed.
    let trail = world.host.audit(&operator, &AuditFilter::default()).await.unwrap();
    assert!(trail.is_empty());
    assert!(denied("same", &[Role::Operator]).await.is_ok());
}
