//! `fusebox dlq list`: letters by what they have in common.

use super::{Context, Failed, groups};
use crate::cli::moments::{parse_duration, relative};
use crate::cli::output::short;
use clap::Args;
use clap::builder::PossibleValuesParser;
use fusebox_core::failure::Class;
use fusebox_engine::ports::store::LetterFilter;
use std::time::Duration;

/// Which letters are meant.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Filter {
    /// Only of that service
    #[arg(long)]
    pub(super) service: Option<String>,
    /// Only of that tool
    #[arg(long)]
    pub(super) tool: Option<String>,
    /// Only of that class
    #[arg(long, value_parser = PossibleValuesParser::new(Class::ALL.map(Class::name)))]
    pub(super) class: Option<String>,
    /// Only those that failed within the last so much time, such as 4h
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    pub(super) since: Option<Duration>,
}

impl Filter {
    /// Whether it leaves any letter out.
    pub(super) fn is_empty(&self) -> bool {
        self.service.is_none() && self.tool.is_none() && self.class.is_none() && self.since.is_none()
    }

    /// The earliest last failure that it lets through, milliseconds since 1970.
    pub(super) fn since(&self, cx: &Context<'_>) -> Option<i64> {
        self.since.map(|ago| (cx.now() - ago).0)
    }

    /// The filter as the store takes it; `limit` zero means its own.
    pub(super) fn of_store(&self, closed: bool, limit: u32, cx: &Context<'_>) -> LetterFilter {
        LetterFilter {
            service: self.service.clone(),
            tool: self.tool.clone(),
            class: self.class.clone(),
            since: self.since(cx),
            closed,
            after: None,
            limit,
        }
    }
}

/// Which letters are listed.
#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  fusebox dlq list
  fusebox dlq list --service openai --since 4h --json
  fusebox dlq list --groups")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    filter: Filter,
    /// Closed letters too
    #[arg(long)]
    all: bool,
    /// Known-bad letters in groups: equal component, function, class and innermost frames
    #[arg(long, conflicts_with_all = ["service", "since", "all"])]
    groups: bool,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Runs the command.
///
/// # Errors
/// What the host refused.
pub(super) async fn run(asked: &Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    if asked.groups {
        return groups::list(&asked.filter, asked.limit, cx).await;
    }
    let host = cx.wiring.host().await?;
    let filter = asked.filter.of_store(asked.all, asked.limit, cx);
    let letters = host.letters(&cx.caller, &filter).await?;
    let now = cx.now();
    cx.out.rows(
        &[
            "letter", "kind", "class", "function", "service", "failed", "replays", "state", "why",
        ],
        &letters,
        |letter| {
            let pinned = if letter.pinned { ", pinned" } else { "" };
            vec![
                letter.id.to_string(),
                letter.kind.clone(),
                letter.class.clone(),
                format!("{}.{}", letter.run.tool, letter.run.function),
                letter.service.clone().unwrap_or_default(),
                relative(letter.last_failed, now),
                letter.replays.to_string(),
                format!("{}{pinned}", letter.state),
                short(&letter.failure.message, 60),
            ]
        },
    )?;
    if letters.is_empty() && !cx.out.json() {
        cx.note("no letters");
    }
    Ok(())
}
