//! Who may ask the facade for what: every method, for every role.

use crate::world::*;
use fusebox_core::failure::{Code, Failure};
use fusebox_core::ids::{ApprovalId, LetterId, RedriveId, RunId};
use fusebox_core::policy::{Durability, Idempotency, ToolPolicy};
use fusebox_core::role::{Role, Roles};
use fusebox_core::time::Wall;
use fusebox_engine::following::{Following, Terms};
use fusebox_engine::host::{Host, NewKey};
use fusebox_engine::ports::authorizer::Act;
use fusebox_engine::ports::store::{
    ApprovalFilter, AuditFilter, ErrorFilter, LetterFilter, RunFilter, ToolChange, Verdict,
};
use fusebox_engine::records::LetterRecord;
use fusebox_engine::requests::{
    Begin, BreakerOrder, Call, Caller, Deploy, MemoryRange, Redrive, Replay, Resolve, Trial, digest_of,
};
use fusebox_engine::testing::scripted_transport::status;
use futures::future::BoxFuture;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

type Outcome = Result<(), Box<Failure>>;
type Ask = Box<dyn Fn(Arc<Host>, Caller) -> BoxFuture<'static, Outcome>>;

/// A method, the roles of which each alone may use it, and a use of it.
struct Method {
    name: &'static str,
    roles: &'static [Role],
    ask: Ask,
}

const C: Role = Role::Caller;
const A: Role = Role::Approver;
const O: Role = Role::Operator;
const D: Role = Role::Deployer;

macro_rules! methods {
    ($($name:ident [$($role:ident)*] |$host:ident, $caller:ident| $call:expr;)*) => {
        vec![$(Method {
            name: stringify!($name),
            roles: &[$($role),*],
            ask: Box::new(|$host, $caller| Box::pin(async move { $call.await.map(drop) })),
        }),*]
    };
}

fn letter_id() -> LetterId {
    LetterId::new(Wall(1), 1)
}

fn run_id() -> RunId {
    RunId::new(Wall(1), 1)
}

fn replay(from: Begin) -> Replay {
    Replay {
        letter: letter_id(),
        deadline: None,
        from,
        repeat: Vec::new(),
        component: None,
        dry_run: false,
    }
}

fn verdict() -> Verdict {
    Verdict {
        approved: true,
        by: "somebody".to_owned(),
        reason: None,
    }
}

fn trial() -> Trial {
    Trial {
        wasm: "pure".into(),
        policy: ToolPolicy::default(),
        function: "run".to_owned(),
        input: String::new(),
    }
}

fn deploy(name: &str) -> Deploy {
    Deploy {
        wasm: name.to_owned().into(),
        manifest: name.to_owned(),
        source: "test".to_owned(),
        policy: pure(name),
        links: Vec::new(),
    }
}

fn range() -> MemoryRange {
    MemoryRange {
        instance: 0,
        memory: 0,
        offset: 0,
        length: 1,
    }
}

fn redrive_id() -> RedriveId {
    RedriveId::new(Wall(1), 1)
}

fn rule_trial() -> fusebox_engine::rules::Trial {
    fusebox_engine::rules::Trial {
        principal: "somebody".to_owned(),
        roles: Roles::CALLER,
        act: Act::Call,
        tool: "pure".to_owned(),
        function: Some("run".to_owned()),
        input: "{}".to_owned(),
        chain: Vec::new(),
        run_by: None,
    }
}

fn new_key() -> NewKey {
    NewKey {
        name: "ci".to_owned(),
        roles: [O].into_iter().collect(),
        expires: None,
        tenant: None,
    }
}

fn approval_id() -> ApprovalId {
    ApprovalId::new(Wall(1), 1)
}

/// Every method of the facade that somebody asks.
fn methods() -> Vec<Method> {
    methods! {
        call [C] |host, caller| host.call(&caller, call("pure"));
        offered [C] |host, caller| host.offered(&caller);
        replay [O] |host, caller| host.replay(&caller, replay(Begin::ResumePoint));
        try_component [D] |host, caller| host.try_component(&caller, trial());
        component [O D] |host, caller| host.component(&caller, digest_of(b"pure"));
        deploy [D] |host, caller| host.deploy(&caller, deploy("pure"));
        copy_database [O] |host, caller| host.copy_database(&caller, "elsewhere", async { Ok(()) });
        cancel [C O] |host, caller| host.cancel(&caller, &run_id());
        resume [O] |host, caller| host.resume(&caller, &run_id());
        tree [C A O] |host, caller| host.tree(&caller, &run_id());
        journal [C A O] |host, caller| host.journal(&caller, &run_id());
        approvals [A O] |host, caller| host.approvals(&caller, &ApprovalFilter::default());
        approval [A O] |host, caller| host.approval(&caller, &approval_id());
        decide [A] |host, caller| host.decide(&caller, &approval_id(), verdict());
        resolve [O] |host, caller| host.resolve(&caller, &letter_id(), Resolve::CloseFailed { reason: None });
        pin [O] |host, caller| host.pin(&caller, &letter_id(), true);
        expired [O] |host, caller| host.expired(&caller);
        stats [O] |host, caller| host.stats(&caller);
        redrive [O] |host, caller| host.redrive(&caller, Redrive::default());
        redrives [O] |host, caller| host.redrives(&caller);
        redrive_of [O] |host, caller| host.redrive_of(&caller, &redrive_id());
        cancel_redrive [O] |host, caller| host.cancel_redrive(&caller, &redrive_id());
        run_redrive [O] |host, caller| host.run_redrive(&caller, &redrive_id(), &|_| ());
        tools [C O D] |host, caller| host.tools(&caller);
        tool [C O D] |host, caller| host.tool(&caller, "pure");
        change_tool [O D] |host, caller| host.change_tool(&caller, "pure", ToolChange::Enable);
        runs [C A O] |host, caller| host.runs(&caller, &RunFilter::default());
        run [C A O] |host, caller| host.run(&caller, &run_id());
        letters [O] |host, caller| host.letters(&caller, &LetterFilter::default());
        letter [O] |host, caller| host.letter(&caller, &letter_id());
        letter_of [O] |host, caller| host.letter_of(&caller, &run_id());
        purge [O] |host, caller| host.purge(&caller, &[]);
        retain [O] |host, caller| host.retain(&caller);
        memory [O] |host, caller| host.memory(&caller, &letter_id(), range());
        coredump [O] |host, caller| host.coredump(&caller, &letter_id());
        breakers [O] |host, caller| host.breakers(&caller);
        order_breaker [O] |host, caller| host.order_breaker(&caller, "tool:pure", BreakerOrder::Close);
        errors [O] |host, caller| host.errors(&caller, &ErrorFilter::default());
        follow [C] |host, caller| async move {
            let following = Following::new(Terms::default());
            host.follow(&caller, call("pure"), &following).await
        };
        fetched [C A O] |host, caller| host.fetched(&caller, &run_id());
        rules [O D] |host, caller| async move { host.rules(&caller) };
        rule_findings [O D] |host, caller| host.rule_findings(&caller);
        rule_schema [O D] |host, caller| host.rule_schema(&caller);
        judge [O D] |host, caller| host.judge(&caller, &rule_trial());
        create_key [O] |host, caller| host.create_key(&caller, new_key());
        keys [O] |host, caller| host.keys(&caller);
        revoke_key [O] |host, caller| host.revoke_key(&caller, "none");
        audit [O] |host, caller| host.audit(&caller, &AuditFilter::default());
        verify_audit [O] |host, caller| host.verify_audit(&caller, None);
        debug [O] |host, caller| host.debug(&caller, &letter_id());
        debugging [O] |host, caller| host.debugging(&caller, &letter_id(), Duration::from_secs(1));
    }
}

/// The methods of the facade's source that take a caller.
fn in_the_source() -> BTreeSet<String> {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![source.join("host.rs")];
    let folder = std::fs::read_dir(source.join("host")).unwrap();
    files.extend(folder.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    let mut found = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let methods = ["    pub async fn ", "    pub fn "];
        for method in methods.iter().flat_map(|start| text.split(start).skip(1)) {
            let (name, rest) = method.split_once('(').unwrap();
            let name = name.split('<').next().unwrap();
            let parameters = rest.split_once(')').unwrap().0;
            if parameters.contains("caller: &Caller") {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

fn with(roles: Roles) -> Caller {
    Caller {
        principal: "somebody".into(),
        roles,
        ..Caller::local()
    }
}

async fn world() -> World {
    let world = World::answering(|_, _| status(200)).await;
    world.deploy(pure("pure"), |_, _| async { ok() }).await;
    world
}

#[tokio::test(start_paused = true)]
async fn each_method_is_for_those_roles_and_denied_to_every_other() {
    let methods = methods();
    // `outlook` takes a letter, which only who may see letters has; the test below asks it.
    let mut known: BTreeSet<_> = methods.iter().map(|method| method.name.to_owned()).collect();
    known.insert("outlook".to_owned());
    // Whoever holds a call has made it.
    known.insert("leave".to_owned());
    assert_eq!(in_the_source(), known, "each method of the facade stands in this table");
    let world = world().await;
    for method in &methods {
        for role in Role::ALL {
            let caller = with([role].into_iter().collect());
            let outcome = (method.ask)(Arc::clone(&world.host), caller).await;
            let denied = outcome.as_ref().is_err_and(|failure| failure.code == Code::Denied);
            assert_eq!(
                !denied,
                method.roles.contains(&role),
                "{} by {role}: {outcome:?}",
                method.name
            );
        }
        let nobody = (method.ask)(Arc::clone(&world.host), with(Roles::default())).await;
        assert_eq!(nobody.unwrap_err().code, Code::Denied, "{} without a role", method.name);
    }
}

#[tokio::test(start_paused = true)]
async fn removing_a_tool_is_a_deployers_and_calling_with_other_arguments_needs_a_callers_role_too() {
    let world = world().await;
    let operator = with([O].into_iter().collect());
    let removed = world.host.change_tool(&operator, "pure", ToolChange::Remove).await;
    assert_eq!(removed.unwrap_err().code, Code::Denied);
    let edited = replay(Begin::Input("{}".to_owned()));
    assert_eq!(
        world.host.replay(&operator, edited.clone()).await.unwrap_err().code,
        Code::Denied
    );
    let both = with([O, C].into_iter().collect());
    assert_eq!(world.host.replay(&both, edited).await.unwrap_err().code, Code::NotFound);
    let deployer = with([D].into_iter().collect());
    world
        .host
        .change_tool(&deployer, "pure", ToolChange::Remove)
        .await
        .unwrap();
}

async fn failed_letter(world: &World) -> LetterRecord {
    let policy = tool("down", Idempotency::Readonly, 1, vec![service("a")]);
    world.deploy(policy, |_, _| async { trap() }).await;
    world.call("down").await.unwrap_err();
    world.letter().await
}

#[tokio::test(start_paused = true)]
async fn the_outlook_of_a_letter_is_an_operators() {
    let world = world().await;
    let letter = failed_letter(&world).await;
    for role in Role::ALL {
        let outlook = world.host.outlook(&with([role].into_iter().collect()), &letter).await;
        assert_eq!(outlook.is_ok(), role == O, "{role}");
    }
}

fn lasting(name: &str) -> ToolPolicy {
    let mut policy = tool(name, Idempotency::Readonly, 1, Vec::new());
    policy.default_function.durability = Durability::Always;
    policy
}

fn principal(name: &str) -> Caller {
    Caller {
        principal: name.into(),
        ..with(Roles::CALLER)
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_sees_the_runs_that_they_made_and_others_are_as_if_they_were_not_there() {
    let world = world().await;
    world.deploy(lasting("lasting"), |_, _| async { ok() }).await;
    let mut runs = Vec::new();
    for name in ["ann", "ben", "ann"] {
        let reply = world.host.call(&principal(name), call("lasting")).await.unwrap();
        runs.push(reply.run.unwrap());
    }
    let (ann, ben) = (principal("ann"), principal("ben"));
    let listed = |caller: Caller, limit| {
        let host = Arc::clone(&world.host);
        async move {
            let filter = RunFilter {
                limit,
                ..RunFilter::default()
            };
            let runs = host.runs(&caller, &filter).await.unwrap();
            runs.into_iter().map(|run| run.principal).collect::<Vec<_>>()
        }
    };
    assert_eq!(listed(ann.clone(), 0).await, ["ann", "ann"]);
    assert_eq!(listed(ben.clone(), 1).await, ["ben"], "the limit counts one's own");
    assert_eq!(listed(with([A].into_iter().collect()), 0).await.len(), 3);
    assert!(world.host.run(&ann, &runs[0]).await.is_ok() && world.host.tree(&ann, &runs[0]).await.is_ok());
    let others = &runs[1];
    let refused = [
        world.host.run(&ann, others).await.map(drop),
        world.host.tree(&ann, others).await.map(drop),
        world.host.journal(&ann, others).await.map(drop),
        world.host.cancel(&ann, others).await,
    ];
    let absent = world.host.run(&ann, &run_id()).await.unwrap_err();
    for refused in refused {
        let failure = refused.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        let message = failure.message.replace(others.as_str(), run_id().as_str());
        assert_eq!(message, absent.message, "nothing tells it from one that is not there");
    }
    let filter = RunFilter {
        principal: Some("ben".to_owned()),
        ..RunFilter::default()
    };
    let runs = world.host.runs(&ann, &filter).await.unwrap();
    assert!(
        runs.iter().all(|run| run.principal == "ann"),
        "a filter does not widen it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_cancels_a_run_in_flight_that_is_their_own_alone() {
    let world = world().await;
    let policy = tool("slow", Idempotency::Readonly, 1, Vec::new());
    world
        .deploy(policy, |_, spec| async move {
            spec.cancel.cancelled().await;
            fusebox_engine::ports::sandbox::AttemptEnd::Stopped
        })
        .await;
    let host = Arc::clone(&world.host);
    let keyed = Call {
        key: Some("k".to_owned()),
        ..call("slow")
    };
    let calling = tokio::spawn(async move { host.call(&principal("ann"), keyed).await });
    world.pass(Duration::from_secs(1)).await;
    let run = world.last_run().await.unwrap().id;
    let refused = world.host.cancel(&principal("ben"), &run).await.unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
    assert!(!calling.is_finished());
    world.host.cancel(&principal("ann"), &run).await.unwrap();
    assert_eq!(calling.await.unwrap().unwrap_err().code, Code::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_run_keeps_the_roles_of_who_called_it() {
    let world = world().await;
    world.deploy(lasting("lasting"), |_, _| async { ok() }).await;
    let roles = [C, O].into_iter().collect();
    let reply = world.host.call(&with(roles), call("lasting")).await.unwrap();
    let run = world.host.run(&Caller::local(), &reply.run.unwrap()).await.unwrap();
    assert_eq!(run.roles, roles);
}
