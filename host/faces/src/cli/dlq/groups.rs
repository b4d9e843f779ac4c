//! `fusebox dlq stats` and `dlq list --groups`: letters in numbers, and known-bad ones by the defect that they are.

use super::list::Filter;
use super::{Context, Failed};
use crate::cli::moments::{moment, relative};
use crate::cli::output::{printable, short};
use crate::cli::timeline::field;
use fusebox_core::time::Wall;
use fusebox_engine::requests::LetterGroup;
use serde_json::{Value, json};

/// Lists groups of known-bad letters.
///
/// # Errors
/// What the host refused.
pub(super) async fn list(filter: &Filter, limit: u32, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    let mut groups = host.stats(&cx.caller).await?.groups;
    let fits = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
    groups.retain(|group| fits(&filter.tool, &group.tool) && fits(&filter.class, &group.class));
    groups.truncate(limit as usize);
    if cx.out.json() {
        for group in &groups {
            cx.out.value(&of_json(group))?;
        }
        return Ok(());
    }
    let now = cx.now();
    cx.out.table(
        &[
            "letters",
            "class",
            "function",
            "newest",
            "oldest",
            "one of them",
            "innermost frames",
        ],
        &groups,
        |group| row(group, now),
    )?;
    if groups.is_empty() {
        cx.note("no known-bad letters");
    }
    Ok(())
}

fn row(group: &LetterGroup, now: Wall) -> Vec<String> {
    vec![
        group.count.to_string(),
        group.class.clone(),
        format!("{}.{}", group.tool, group.function),
        relative(group.newest, now),
        relative(group.oldest, now),
        group.sample.to_string(),
        short(&group.frames.join(" < "), 160),
    ]
}

fn of_json(group: &LetterGroup) -> Value {
    json!({
        "fingerprint": group.fingerprint,
        "count": group.count,
        "tool": group.tool,
        "function": group.function,
        "class": group.class,
        "frames": group.frames,
        "oldest": group.oldest,
        "newest": group.newest,
        "sample": group.sample.as_str(),
    })
}

/// Shows open letters in numbers.
///
/// # Errors
/// What the host refused.
pub(super) async fn stats(cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    let found = host.stats(&cx.caller).await?;
    if cx.out.json() {
        let counts = |pairs: &[(String, u64)]| -> Value {
            let pairs = pairs.iter().map(|(name, count)| (name.clone(), json!(count)));
            Value::Object(pairs.collect())
        };
        return Ok(cx.out.value(&json!({
            "open": found.open,
            "in-doubt": found.in_doubt,
            "known-bad": found.known_bad,
            "replaying": found.replaying,
            "oldest": found.oldest,
            "by-service": counts(&found.by_service),
            "by-class": counts(&found.by_class),
            "groups": found.groups.iter().map(of_json).collect::<Vec<_>>(),
        }))?);
    }
    let now = cx.now();
    let out = &mut cx.out;
    let oldest = found.oldest.map_or_else(String::new, |at| {
        format!(", the oldest of {} ({})", moment(at), relative(at, now))
    });
    field(out, "open", format!("{}{oldest}", found.open))?;
    field(out, "in doubt", format!("{}", found.in_doubt))?;
    field(
        out,
        "known bad",
        format!("{}, in {} group(s)", found.known_bad, found.groups.len()),
    )?;
    field(out, "replaying", format!("{}", found.replaying))?;
    for (label, counts) in [("services", &found.by_service), ("classes", &found.by_class)] {
        for (index, (name, count)) in counts.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            field(out, label, format!("{count:>6}  {}", printable(name)))?;
        }
    }
    let mut next = Vec::new();
    if found.in_doubt > 0 {
        next.push("fusebox dlq list --class in-doubt");
    }
    if found.known_bad > 0 {
        next.push("fusebox dlq list --groups");
    }
    if let Some((first, rest)) = next.split_first() {
        out.line("")?;
        field(out, "next", first)?;
        for line in rest {
            field(out, "", line)?;
        }
    }
    Ok(())
}
