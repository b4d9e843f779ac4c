//! `fusebox dlq replay`: letters again, from where they failed; by their names, or in bulk.

use super::bulk::{self, Bulk};
use super::list::Filter;
use super::{Context, Failed};
use crate::api::Api;
use crate::cli::call;
use crate::cli::input::Input;
use crate::cli::moments::parse_duration;
use crate::cli::timeline::field;
use clap::Args;
use fusebox_core::failure::{Code, Failure};
use fusebox_core::ids::{Digest, LetterId};
use fusebox_engine::requests::{Begin, DryRun, Replay, Replayed};
use serde_json::json;
use std::time::Duration;

/// Which letters are replayed, and how.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox dlq replay ltr_01jd4m9q7gk0v3x8w2h5t6y1ze
  fusebox dlq replay --run-id run_01jd4m9q7gk0v3x8w2h5t6y1ze --dry-run
  fusebox dlq replay ltr_01jd4m9q7gk0v3x8w2h5t6y1ze --from-effect 1 --repeat 2
  fusebox dlq replay ltr_01jd4m9q7gk0v3x8w2h5t6y1ze --input corrected.json
  fusebox dlq replay --service openai --since 4h --rate 30/min --stop-after-failures 5

What is settled is served from the journal and does not happen again; the run goes on at its resume point, which `fusebox dlq show` \
names. It is authorized again and goes through the breakers; an open breaker leaves the letter untouched. A letter in doubt is not \
replayed before `fusebox dlq resolve` has recorded what happened. A failed run that became no letter goes on by `fusebox runs resume`.")]
pub(in crate::cli) struct Arguments {
    /// Ids of letters
    #[arg(value_name = "LETTER", conflicts_with_all = ["run_id", "service", "tool", "class", "since", "all"])]
    letters: Vec<String>,
    /// The letter of that run
    #[arg(long, value_name = "RUN", conflicts_with_all = ["service", "tool", "class", "since", "all"])]
    run_id: Option<String>,
    /// Start over with the same input, run and key: nothing is served
    #[arg(long, group = "from")]
    from_start: bool,
    /// Serve what is below that effect and make it, and what follows, again
    #[arg(long, group = "from", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    from_effect: Option<u32>,
    /// A new run with the arguments of that file (- reads stdin): a new key, nothing served, approvals anew
    #[arg(long, group = "from", value_name = "FILE")]
    input: Option<String>,
    /// Settled effects that may not be repeated, and are to happen again all the same
    #[arg(long, value_name = "N", num_args = 1.., value_delimiter = ',', requires = "from")]
    repeat: Vec<u32>,
    /// Run another component over the same journal, by its digest; the first effect that differs ends it
    #[arg(long, value_name = "DIGEST")]
    component: Option<String>,
    /// Perform nothing, and say what would be next
    #[arg(long)]
    dry_run: bool,
    /// Give up after so much time, such as 30s
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    deadline: Option<Duration>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    bulk: Bulk,
}

/// Runs the command.
///
/// # Errors
/// What the host refused, or how the replay failed.
pub(super) async fn run(arguments: Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let how = How::read(&arguments)?;
    let named = !arguments.letters.is_empty() || arguments.run_id.is_some();
    if how.is_for_one() && arguments.letters.len() + usize::from(arguments.run_id.is_some()) != 1 {
        return Err(Failed::usage(
            "--from-start, --from-effect and --input are for one letter at a time",
            "name one letter; in bulk every letter goes on at its resume point",
        ));
    }
    if !named {
        if how.component.is_some() || how.deadline.is_some() {
            return Err(Failed::usage(
                "--component and --deadline are not for bulk",
                "name the letters: `fusebox dlq list` shows their ids",
            ));
        }
        return bulk::run(&arguments.filter, arguments.bulk, arguments.dry_run, cx).await;
    }
    if arguments.bulk.is_given() {
        return Err(Failed::usage(
            "--max, --rate, --stop-after-failures and --detach are for bulk",
            "say which letters with --service, --tool, --class, --since or --all instead of naming them",
        ));
    }
    let host = cx.wiring.host().await?;
    let ids: Vec<LetterId> = match &arguments.run_id {
        Some(run) => vec![host.letter_of(&cx.caller, &run.parse()?).await?.id],
        None => arguments
            .letters
            .iter()
            .map(|id| id.parse())
            .collect::<Result<_, _>>()?,
    };
    match ids.as_slice() {
        [id] => how.one(id, host.as_ref(), cx).await,
        ids => how.each(ids, host.as_ref(), cx).await,
    }
}

/// How each letter is replayed.
struct How {
    from: Begin,
    input: Option<Input>,
    repeat: Vec<u32>,
    component: Option<Digest>,
    dry_run: bool,
    deadline: Option<Duration>,
}

impl How {
    fn read(arguments: &Arguments) -> Result<Self, Failed> {
        let input = arguments.input.as_deref().map(Input::file).transpose()?;
        let component = arguments.component.as_deref().map(|text| {
            text.parse()
                .map_err(|error| Failed::usage(format!("{error}"), "`fusebox tools list` shows what is deployed"))
        });
        Ok(Self {
            from: match (&input, arguments.from_effect, arguments.from_start) {
                (Some(input), _, _) => Begin::Input(input.text.clone()),
                (None, Some(effect), _) => Begin::Effect(effect),
                (None, None, true) => Begin::Start,
                (None, None, false) => Begin::ResumePoint,
            },
            input,
            repeat: arguments.repeat.clone(),
            component: component.transpose()?,
            dry_run: arguments.dry_run,
            deadline: arguments.deadline,
        })
    }

    fn is_for_one(&self) -> bool {
        self.from != Begin::ResumePoint
    }

    async fn one(&self, id: &LetterId, host: &dyn Api, cx: &mut Context<'_>) -> Result<(), Failed> {
        let replay = Replay {
            letter: id.clone(),
            deadline: self.deadline,
            from: self.from.clone(),
            repeat: self.repeat.clone(),
            component: self.component,
            dry_run: self.dry_run,
        };
        let replayed = host.replay(&cx.caller, replay).await;
        match replayed.map_err(|failure| self.placed(failure))? {
            Replayed::Done(reply) => {
                if !reply.stored {
                    cx.note(&format!("{id} is closed: replayed"));
                }
                call::show(&reply, cx)
            }
            Replayed::Dry(dry) => would(id, &dry, cx),
        }
    }

    /// One after the other; one that fails does not hold up the next.
    async fn each(&self, ids: &[LetterId], host: &dyn Api, cx: &mut Context<'_>) -> Result<(), Failed> {
        let mut first = None;
        for id in ids {
            match self.one(id, host, cx).await {
                Ok(()) => {}
                Err(Failed::Closed) => return Err(Failed::Closed),
                Err(failed) => {
                    let style = cx.style;
                    failed.show(&mut cx.out, cx.stderr, style);
                    first.get_or_insert(failed.exit());
                }
            }
        }
        first.map_or(Ok(()), |exit| Err(Failed::Told(exit)))
    }

    /// A message about edited input names its file.
    fn placed(&self, mut failure: Box<Failure>) -> Box<Failure> {
        if let (Code::BadInput, Some(input)) = (failure.code, &self.input) {
            failure.message = input.place(&failure.message);
        }
        failure
    }
}

/// Says what a replay would do.
fn would(id: &LetterId, dry: &DryRun, cx: &mut Context<'_>) -> Result<(), Failed> {
    if cx.out.json() {
        return Ok(cx.out.value(&json!({
            "letter": id.as_str(),
            "served": dry.served,
            "next": dry.next,
            "effect": dry.effect,
        }))?);
    }
    field(&mut cx.out, "letter", id.as_str())?;
    field(
        &mut cx.out,
        "served",
        format!("{} effect(s) from the journal", dry.served),
    )?;
    field(&mut cx.out, "then", &dry.next)?;
    cx.note("nothing was performed");
    Ok(())
}
