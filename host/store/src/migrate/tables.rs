//! Every table that is copied, in an order in which each finds what it refers to; generated columns make themselves.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Flag,
    Bytes,
}

/// A table and its columns, those of the primary key first.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// How many columns the primary key has.
    pub(crate) key: usize,
    pub(crate) columns: &'static [(&'static str, Kind)],
}

use Kind::{Bytes, Flag, Number, Text};

const fn table(name: &'static str, key: usize, columns: &'static [(&'static str, Kind)]) -> Table {
    Table { name, key, columns }
}

pub(crate) static TABLES: &[Table] = &[
    table(
        "components",
        2,
        &[("tenant", Text), ("digest", Bytes), ("wasm", Bytes), ("object", Text)],
    ),
    table("tools", 2, &[("tenant", Text), ("name", Text), ("enabled", Flag)]),
    table(
        "tool_versions",
        3,
        &[
            ("tenant", Text),
            ("name", Text),
            ("number", Number),
            ("component", Bytes),
            ("body", Text),
        ],
    ),
    table(
        "tool_numbers",
        2,
        &[("tenant", Text), ("name", Text), ("highest", Number)],
    ),
    table(
        "runs",
        2,
        &[
            ("tenant", Text),
            ("id", Text),
            ("tool", Text),
            ("state", Text),
            ("created", Number),
            ("finished", Number),
            ("call_key", Bytes),
            ("key_lifetime", Number),
            ("owner", Text),
            ("epoch", Number),
            ("lease_until", Number),
            ("root", Text),
            ("parent", Text),
            ("seq", Number),
            ("seed", Bytes),
            ("recoveries", Number),
            ("clock", Number),
            ("until", Number),
            ("approval", Text),
            ("cancel", Flag),
            ("journal_until", Number),
            ("likeness", Bytes),
            ("caller_lost", Number),
            ("body", Text),
        ],
    ),
    table(
        "attempts",
        3,
        &[("tenant", Text), ("run", Text), ("number", Number), ("body", Text)],
    ),
    table(
        "keys",
        2,
        &[
            ("tenant", Text),
            ("call_key", Bytes),
            ("run", Text),
            ("fingerprint", Bytes),
            ("free_at", Number),
        ],
    ),
    table(
        "journal",
        3,
        &[
            ("tenant", Text),
            ("run", Text),
            ("seq", Number),
            ("settled", Number),
            ("wall", Number),
            ("harmless", Flag),
            ("body", Text),
            ("payload", Bytes),
        ],
    ),
    table(
        "letters",
        2,
        &[
            ("tenant", Text),
            ("id", Text),
            ("run", Text),
            ("tool", Text),
            ("state", Text),
            ("kind", Text),
            ("class", Text),
            ("service", Text),
            ("first_failed", Number),
            ("last_failed", Number),
            ("expires", Number),
            ("replays", Number),
            ("pinned", Flag),
            ("auto_replay", Flag),
            ("not_before", Number),
            ("body", Text),
        ],
    ),
    table("snapshots", 2, &[("tenant", Text), ("letter", Text), ("body", Text)]),
    table(
        "snapshot_pages",
        3,
        &[("tenant", Text), ("letter", Text), ("digest", Bytes)],
    ),
    table(
        "pages",
        2,
        &[
            ("tenant", Text),
            ("digest", Bytes),
            ("put_at", Number),
            ("zstd", Bytes),
            ("object", Text),
        ],
    ),
    table(
        "approvals",
        2,
        &[
            ("tenant", Text),
            ("id", Text),
            ("root", Text),
            ("state", Text),
            ("asked", Number),
            ("expires", Number),
            ("body", Text),
        ],
    ),
    table(
        "state",
        3,
        &[("tenant", Text), ("space", Text), ("key", Text), ("value", Bytes)],
    ),
    table(
        "redrives",
        2,
        &[
            ("tenant", Text),
            ("id", Text),
            ("started", Number),
            ("ended", Number),
            ("holder", Text),
            ("held_until", Number),
            ("body", Text),
        ],
    ),
    table(
        "breakers",
        2,
        &[("tenant", Text), ("key", Text), ("epoch", Number), ("body", Text)],
    ),
    table(
        "errors",
        1,
        &[
            ("id", Number),
            ("tenant", Text),
            ("tool", Text),
            ("at", Number),
            ("body", Text),
        ],
    ),
    table("sealing", 1, &[("one", Number), ("proof", Bytes)]),
    table(
        "api_keys",
        1,
        &[
            ("id", Text),
            ("tenant", Text),
            ("created", Number),
            ("revoked", Number),
            ("secret", Bytes),
            ("body", Text),
        ],
    ),
    table(
        "audit",
        2,
        &[
            ("tenant", Text),
            ("number", Number),
            ("at", Number),
            ("principal", Text),
            ("action", Text),
            ("subject", Text),
            ("detail", Text),
            ("outcome", Text),
            ("previous", Bytes),
            ("hash", Bytes),
        ],
    ),
    table(
        "audit_heads",
        1,
        &[("tenant", Text), ("number", Number), ("hash", Bytes)],
    ),
];
