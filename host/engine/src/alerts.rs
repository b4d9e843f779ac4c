//! What is worth an alert, said in the log and to the operator's webhook (semantics.md §6): once when it begins, and again every hour.

use crate::engine::{Alerts, Engine, Webhook};
use crate::ports::store::LetterFilter;
use crate::ports::transport::Outgoing;
use crate::records::LetterRecord;
use fusebox_core::dead_letter::Kind;
use fusebox_core::time::{Tick, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(5);
/// The window of rates.
const MINUTE: Duration = Duration::from_secs(60);
/// What goes on is said again after so long.
const AGAIN: Duration = Duration::from_secs(3600);
/// An alert that is not delivered within this is lost, and said in the log.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks and alerts until the host takes no more work.
pub(crate) async fn work(engine: Arc<Engine>) {
    let mut watches: BTreeMap<String, Watch> = BTreeMap::new();
    while !engine.tasks.is_draining() {
        match engine.ports.store.tenants().await {
            Ok(tenants) => {
                watches.retain(|tenant, _| tenants.contains(tenant));
                for tenant in tenants {
                    let watch = watches.entry(tenant.clone()).or_default();
                    watch.look(&engine, &tenant).await;
                }
            }
            Err(error) => tracing::warn!(%error, "letters cannot be looked for, so there are no alerts"),
        }
        tokio::select! {
            () = engine.ports.clock.sleep(LOOK) => {}
            () = engine.tasks.draining().cancelled() => {}
        }
    }
}

/// The alerts of one tenant.
#[derive(Default)]
struct Watch {
    /// When each was said last.
    said: BTreeMap<String, Tick>,
    /// Fingerprints that are known; `None` before the first look, which only learns them.
    known: Option<BTreeSet<String>>,
}

impl Watch {
    async fn look(&mut self, engine: &Engine, tenant: &str) {
        let all = LetterFilter {
            limit: u32::MAX,
            ..LetterFilter::default()
        };
        let letters = match engine.ports.store.letters(tenant, &all).await {
            Ok(letters) => letters,
            Err(error) => {
                tracing::warn!(%error, "letters cannot be looked at for alerts");
                return;
            }
        };
        let now = engine.ports.clock.wall();
        let found = conditions(&engine.settings.alerts, &letters, self.known.as_ref(), now);
        self.known = Some(letters.iter().filter_map(|letter| letter.fingerprint.clone()).collect());
        let tick = engine.ports.clock.tick();
        self.said.retain(|key, _| found.contains_key(key));
        for (key, text) in found {
            let due = self.said.get(&key).is_none_or(|said| tick.since(*said) >= AGAIN);
            if due {
                self.said.insert(key.clone(), tick);
                say(engine, tenant, &key, &text).await;
            }
        }
    }
}

/// Everything that is worth an alert now, by a key that stays the same while it lasts.
fn conditions(
    alerts: &Alerts,
    letters: &[LetterRecord],
    known: Option<&BTreeSet<String>>,
    now: Wall,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut by_service: BTreeMap<&str, u32> = BTreeMap::new();
    for letter in letters {
        if now.since(Wall(letter.first_failed)) < MINUTE {
            *by_service
                .entry(letter.service.as_deref().unwrap_or("no service"))
                .or_default() += 1;
        }
        if letter.kind == Kind::InDoubt.name() {
            let text = format!("{} is in doubt: {}", letter.id, letter.failure.message);
            found.insert(format!("in-doubt {}", letter.id), text);
        }
        let fresh = |print: &&String| known.is_some_and(|known| !known.contains(*print));
        if let Some(print) = letter.fingerprint.as_ref().filter(fresh) {
            let text = format!(
                "a defect that was not seen before: {} ({})",
                letter.failure.message, letter.id
            );
            found.insert(format!("defect {print}"), text);
        }
    }
    for (service, count) in by_service {
        if count > alerts.letters_per_minute {
            let text = format!("{count} letters within a minute at {service}");
            found.insert(format!("rate {service}"), text);
        }
    }
    let oldest = letters.iter().min_by_key(|letter| letter.first_failed);
    if let (Some(oldest), Some(age)) = (oldest, alerts.oldest_age)
        && now.since(Wall(oldest.first_failed)) >= age
    {
        let text = format!(
            "the oldest letter, {}, has waited for {}",
            oldest.id,
            crate::refusals::shown(age)
        );
        found.insert("oldest".to_owned(), text);
    }
    if let Some(most) = alerts.letters
        && letters.len() as u64 > most
    {
        found.insert(
            "quota".to_owned(),
            format!("{} letters are open, more than {most}", letters.len()),
        );
    }
    found
}

async fn say(engine: &Engine, tenant: &str, key: &str, text: &str) {
    tracing::warn!(tenant, alert = key, "{text}");
    let Some(webhook) = &engine.settings.alerts.webhook else {
        return;
    };
    let body = serde_json::json!({ "alert": key, "tenant": tenant, "text": text, "at": engine.ports.clock.wall().0 });
    if let Err(error) = engine.ports.transport.exchange(post(webhook, body.to_string())).await {
        // Its path is often all that keeps strangers from posting to it.
        let error = match webhook.path.trim_matches('/') {
            "" => error.to_string(),
            path => error.to_string().replace(path, "…"),
        };
        tracing::error!(alert = key, error, "the alert could not be posted to the webhook");
    }
}

fn post(webhook: &Webhook, body: String) -> Outgoing {
    Outgoing {
        origin: webhook.origin.clone(),
        method: "POST".to_owned(),
        path: webhook.path.clone(),
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: body.into(),
        timeout: PATIENCE,
        max_response: 64 << 10,
    }
}
