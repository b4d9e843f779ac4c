//! Who took which run from whom, as the database sees it.

use crate::site::{Site, runtime};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes down who is whom, each root that a host takes from one whose lease has ended, and each that a host changes whose last owner is another one.
/// The hosts know nothing of it.
const WATCH: [&str; 6] = [
    "CREATE TABLE seen_owners (run TEXT NOT NULL, epoch BIGINT NOT NULL, owner TEXT NOT NULL, host TEXT NOT NULL)",
    "CREATE INDEX ON seen_owners (run, epoch)",
    "CREATE TABLE seen_takeovers (run TEXT NOT NULL, owner TEXT NOT NULL, at BIGINT NOT NULL)",
    "CREATE TABLE seen_intrusions (told TEXT NOT NULL)",
    "CREATE FUNCTION watch_runs() RETURNS trigger LANGUAGE plpgsql AS $$ \
     DECLARE \
       me TEXT := current_setting('application_name'); \
       at_ms BIGINT := (extract(epoch FROM clock_timestamp()) * 1000)::bigint; \
     BEGIN \
       IF NEW.owner IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.owner IS DISTINCT FROM OLD.owner) THEN \
         INSERT INTO seen_owners VALUES (NEW.id, NEW.epoch, NEW.owner, me); \
       END IF; \
       IF TG_OP = 'UPDATE' AND NEW.recoveries > OLD.recoveries THEN \
         INSERT INTO seen_takeovers VALUES (NEW.id, OLD.owner, at_ms); \
       END IF; \
       IF TG_OP = 'UPDATE' AND me LIKE 'host-%' AND NEW.epoch = OLD.epoch \
         AND (NEW.lease_until, NEW.state, NEW.finished) IS DISTINCT FROM (OLD.lease_until, OLD.state, OLD.finished) \
         AND me <> (SELECT s.host FROM seen_owners s WHERE s.run = NEW.id ORDER BY s.epoch DESC LIMIT 1) THEN \
         INSERT INTO seen_intrusions VALUES (format('%s, %s to %s, by %s', NEW.id, OLD.state, NEW.state, me)); \
       END IF; \
       RETURN NULL; \
     END $$",
    "CREATE TRIGGER watch_runs AFTER INSERT OR UPDATE ON runs FOR EACH ROW EXECUTE FUNCTION watch_runs()",
];

/// When processes were killed, by what they were called in the database.
#[derive(Default)]
pub(super) struct Takeovers(Mutex<Vec<(String, u128)>>);

impl Takeovers {
    /// Has the database write down what happens from now on.
    pub(super) fn watch(site: &Site) -> Self {
        for statement in WATCH {
            runtime().block_on(site.database().ask(statement));
        }
        Self::default()
    }

    /// A process was killed just now.
    pub(super) fn killed(&self, host: String) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        self.0.lock().unwrap().push((host, now));
    }

    /// No host has changed a run that another one held.
    pub(super) fn nobody_intruded(&self, site: &Site) {
        let told = site.sql("SELECT string_agg(told, '; ') FROM seen_intrusions");
        assert_eq!(told, "", "a host changed what another one held");
    }

    /// How long it took from each kill until another host had a run of that process, and how many runs were taken over at all.
    pub(super) fn figures(&self, site: &Site) -> String {
        let mut times: Vec<u64> = Vec::new();
        for (host, at) in self.0.lock().unwrap().iter() {
            let told = site.sql(&format!(
                "SELECT string_agg((at - {at})::text, ' ') FROM seen_takeovers \
                 WHERE owner IN (SELECT owner FROM seen_owners WHERE host = '{host}') AND at >= {at}"
            ));
            times.extend(told.split_whitespace().map(|time| time.parse::<u64>().unwrap()));
        }
        times.sort_unstable();
        let all = site.sql("SELECT count(*) FROM seen_takeovers");
        let (Some(median), Some(longest)) = (times.get(times.len() / 2), times.last()) else {
            return format!("{all} takeovers, none from a host that was killed");
        };
        format!(
            "{all} takeovers, {} of them from hosts that were killed, after {median} ms (p50) and {longest} ms (max)",
            times.len()
        )
    }
}
