//! `fusebox approvals`: what waits for a person, and what the person says.

use super::failed::Failed;
use super::moments::{moment, relative};
use super::output::{printable, short};
use super::timeline::field;
use super::{Context, call, identity, runs};
use crate::api::Api;
use clap::{Args, Subcommand};
use fusebox_core::failure::Code;
use fusebox_engine::ports::store::{ApprovalFilter, Verdict};
use fusebox_engine::records::ApprovalRecord;

/// What is asked about approvals.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List what waits for a person, oldest first
    List(List),
    /// Show one question: what is to be called, with which input, who asks and why
    #[command(after_help = "Example:\n  fusebox approvals show apr_01jd4m9q7gk0v3x8w2h5t6y1ze")]
    Show {
        /// Id of the approval
        approval: String,
    },
    /// Agree: the call may be made, and its run goes on
    #[command(after_help = "\
Examples:
  fusebox approvals approve apr_01jd4m9q7gk0v3x8w2h5t6y1ze
  fusebox approvals approve apr_01jd4m9q7gk0v3x8w2h5t6y1ze --by ann --reason 'checked with the customer' --detach

The run goes on in this process, which prints its outcome; with --detach a serving host goes on with it.")]
    Approve(Decision),
    /// Decline: the call is not made
    #[command(after_help = "\
Example:
  fusebox approvals deny apr_01jd4m9q7gk0v3x8w2h5t6y1ze --reason 'wrong recipient'

The run ends as declined, unless its component asked by itself and does something else about it.")]
    Deny(Decision),
}

/// Which approvals are listed.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:\n  fusebox approvals list\n  fusebox approvals list --all --json")]
pub(super) struct List {
    /// Decided and expired ones too
    #[arg(long)]
    all: bool,
    /// Only those that this run waits for
    #[arg(long, value_name = "RUN")]
    run_id: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// What a person says to a question.
#[derive(Debug, Args)]
pub(super) struct Decision {
    /// Id of the approval
    approval: String,
    /// Why; it is kept, and the caller of a declined run is told
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who says so; otherwise whoever types
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Decide only: a serving host goes on with the run
    #[arg(long)]
    detach: bool,
}

/// Runs the command.
///
/// # Errors
/// What the host refused, or how the run that went on ended.
pub(super) async fn run(command: Command, cx: &mut Context<'_>) -> Result<(), Failed> {
    match command {
        Command::List(list) => self::list(list, cx).await,
        Command::Show { approval } => {
            let id = approval.parse()?;
            let host = cx.wiring.host().await?;
            let approval = host.approval(&cx.caller, &id).await?;
            show(&approval, cx)
        }
        Command::Approve(decision) => approve(decision, cx).await,
        Command::Deny(decision) => deny(decision, cx).await,
    }
}

async fn list(list: List, cx: &mut Context<'_>) -> Result<(), Failed> {
    let filter = ApprovalFilter {
        all: list.all,
        root: list.run_id.map(|run| run.parse()).transpose()?,
        after: None,
        limit: list.limit,
    };
    let host = cx.wiring.host().await?;
    let found = host.approvals(&cx.caller, &filter).await?;
    let now = cx.now();
    cx.out.rows(
        &[
            "approval", "state", "function", "caller", "asked", "expires", "run", "what",
        ],
        &found,
        |approval| {
            vec![
                approval.id.to_string(),
                approval.state.clone(),
                format!("{}.{}", approval.tool, approval.function),
                short(&approval.principal, 40),
                relative(approval.asked, now),
                relative(approval.expires, now),
                approval.root.to_string(),
                short(what(approval), 80),
            ]
        },
    )?;
    if found.is_empty() && !cx.out.json() {
        cx.note("nothing waits for a person");
    }
    Ok(())
}

/// What the person reads: the guest's question, else the input of the call.
fn what(approval: &ApprovalRecord) -> &str {
    if approval.question.is_empty() {
        &approval.input
    } else {
        &approval.question
    }
}

fn show(approval: &ApprovalRecord, cx: &mut Context<'_>) -> Result<(), Failed> {
    if cx.out.json() {
        return Ok(cx.out.value(approval)?);
    }
    let now = cx.now();
    let out = &mut cx.out;
    field(out, "approval", format!("{}  {}", approval.id, approval.state))?;
    if !approval.question.is_empty() {
        field(out, "question", printable(&approval.question))?;
    }
    field(
        out,
        "function",
        format!("{}.{}  {}", approval.tool, approval.function, approval.component),
    )?;
    let label = if approval.question.is_empty() {
        "input"
    } else {
        "details"
    };
    // Whole: nobody agrees to what was cut off.
    field(out, label, printable(&approval.input))?;
    field(out, "because", printable(&approval.because))?;
    field(out, "caller", printable(&approval.principal))?;
    field(out, "run", approval.run.as_str())?;
    if approval.root != approval.run {
        field(out, "root", approval.root.as_str())?;
    }
    field(out, "asked", moment(approval.asked))?;
    field(
        out,
        "expires",
        format!("{} ({})", moment(approval.expires), relative(approval.expires, now)),
    )?;
    if let Some(decided) = approval.decided {
        let by = approval.by.as_deref().unwrap_or("nobody");
        field(out, "decided", format!("{} by {}", moment(decided), printable(by)))?;
    }
    if let Some(reason) = &approval.reason {
        field(out, "reason", printable(reason))?;
    }
    if approval.state == "pending" {
        out.line("\nnext")?;
        field(out, "", format!("fusebox approvals approve {}", approval.id))?;
        field(out, "", format!("fusebox approvals deny {} --reason TEXT", approval.id))?;
        field(out, "", format!("fusebox runs show {}", approval.root))?;
    }
    Ok(())
}

async fn decide(
    decision: &Decision,
    approved: bool,
    host: &dyn Api,
    cx: &mut Context<'_>,
) -> Result<ApprovalRecord, Failed> {
    let id = decision.approval.parse()?;
    // One that is not there is told from one that was decided.
    host.approval(&cx.caller, &id).await?;
    let what = ["decline what waits for a person", "approve what waits for a person"];
    let approver = identity::approver(what[usize::from(approved)], cx).await?;
    let verdict = Verdict {
        approved,
        by: decision.by.clone().unwrap_or_else(|| approver.principal.to_string()),
        reason: decision.reason.clone(),
    };
    Ok(host.decide(&approver, &id, verdict).await?)
}

async fn approve(decision: Decision, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    let approval = decide(&decision, true, host.as_ref(), cx).await?;
    cx.note(&format!("{} is approved", approval.id));
    if decision.detach {
        return left_to_a_host(&approval, cx);
    }
    match host.resume(&cx.caller, &approval.root).await {
        Ok(reply) => call::show(&reply, cx),
        // A serving host was quicker, or is the one to go on, since whoever may approve need not be let resume runs; its end is the end.
        Err(failure) if matches!(failure.code, Code::KeyInUse | Code::Denied) => {
            let reply = runs::to_its_end(host.as_ref(), &approval.root, cx).await?;
            call::show(&reply, cx)
        }
        Err(failure) => Err(failure.into()),
    }
}

async fn deny(decision: Decision, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    let approval = decide(&decision, false, host.as_ref(), cx).await?;
    cx.note(&format!("{} is declined", approval.id));
    if decision.detach {
        return left_to_a_host(&approval, cx);
    }
    // The run ends here, since a person waits for nothing else; how it ends is no failure of this command.
    match host.resume(&cx.caller, &approval.root).await {
        Ok(_) => cx.note(&format!("{} went on without it, and succeeded", approval.root)),
        Err(failure) if failure.code == Code::StoreUnavailable => return Err(failure.into()),
        // Whoever may decline need not be let resume runs.
        Err(failure) if failure.code == Code::Denied => return left_to_a_host(&approval, cx),
        Err(failure) => cx.note(&format!("{}: {}", approval.root, failure.message)),
    }
    if cx.out.json() {
        cx.out.value(&approval)?;
    }
    Ok(())
}

fn left_to_a_host(approval: &ApprovalRecord, cx: &mut Context<'_>) -> Result<(), Failed> {
    if cx.out.json() {
        return Ok(cx.out.value(approval)?);
    }
    let run = &approval.root;
    cx.note(&format!(
        "a serving host (`fusebox serve`) goes on with {run}; `fusebox runs follow {run}` waits for its end, `fusebox runs resume {run}` goes on here"
    ));
    Ok(())
}
