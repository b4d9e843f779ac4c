//! The keys of the operator's file. Those that are no tables of tables are settings: each has a variable and a flag too.

use super::service::SERVICE;
use super::{ANY_COUNT, key, shape};
use crate::form::{Form, Shape};

/// The operator's file.
pub(crate) static HOST: Shape = shape(
    "the operator's file",
    &[
        key(
            "database",
            Form::Path,
            "",
            "The database: a SQLite file, relative to this file, or a `postgres://` URL; `fusebox.db` beside it, or in the user's data directory when there is none.",
        ),
        key(
            "cache",
            Form::Path,
            "",
            "Folder of compiled components, relative to this file; in the user's cache directory without it.",
        ),
        key(
            "policies",
            Form::Path,
            "",
            "Folder with presets of your own, relative to this file; each `NAME.toml` is a preset.",
        ),
        key(
            "rules",
            Form::Path,
            "",
            "Folder with Cedar rules, relative to this file; `rules` beside it without it. Each `NAME.cedar` in it counts.",
        ),
        key(
            "log",
            Form::Word(&["error", "warn", "info", "debug", "trace"]),
            "\"warn\"",
            "What the host says about itself on stderr.",
        ),
        key(
            "log-format",
            Form::Word(&["text", "json"]),
            "\"text\"",
            "How it says that: lines for people, or a JSON object a line.",
        ),
        key(
            "lease",
            Form::SomeDuration,
            "\"30s\"",
            "How long a host owns a run without renewing.",
        ),
        key(
            "drain",
            Form::Duration,
            "\"30s\"",
            "How long a stopping host waits for effects in flight and for calls; what it does not end goes to another host.",
        ),
        key(
            "max-calls",
            Form::Count(1, 1_000_000),
            "256",
            "Calls in flight at once; more are refused as overloaded.",
        ),
        key(
            "network",
            Form::Table(&NETWORK),
            "",
            "What guests may reach besides public addresses.",
        ),
        key(
            "listen",
            Form::Table(&LISTEN),
            "",
            "Where `fusebox serve` listens, and what it takes from clients.",
        ),
        key(
            "oidc",
            Form::Table(&OIDC),
            "",
            "Whose tokens are taken besides API keys.",
        ),
        key(
            "blobs",
            Form::Table(&BLOBS),
            "",
            "Components and pages of dead letters outside of the database.",
        ),
        key("retention", Form::Table(&RETENTION), "", "How long things are kept."),
        key(
            "recovery",
            Form::Table(&RECOVERY),
            "",
            "Runs that nobody holds any more.",
        ),
        key(
            "encryption",
            Form::Table(&ENCRYPTION),
            "",
            "Encryption of what is kept.",
        ),
        key("approvals", Form::Table(&APPROVALS), "", "Questions to people."),
        key("letters", Form::Table(&LETTERS), "", "Dead letters."),
        key(
            "auto-replay",
            Form::Table(&AUTO_REPLAY),
            "",
            "Letters that are replayed without anybody asking.",
        ),
        key(
            "alerts",
            Form::Table(&ALERTS),
            "",
            "What is worth an alert, and where alerts go.",
        ),
        key("otlp", Form::Table(&OTLP), "", "Where traces go."),
        key("pool", Form::Table(&POOL), "", "Room for guests."),
        key(
            "compile",
            Form::Table(&COMPILE),
            "",
            "Limits of the compiler's process.",
        ),
        key(
            "secrets",
            Form::Table(&SECRETS),
            "",
            "Where secrets come from, and the hosts that each may go to.",
        ),
        key(
            "ceilings",
            Form::Table(&CEILINGS),
            "",
            "The most that any manifest gets.",
        ),
        key(
            "services",
            Form::Map(&Form::Name, &Form::Table(&SERVICE)),
            "",
            "Shared services, which tools join by `uses`.",
        ),
    ],
);

static NETWORK: Shape = shape(
    "`network`",
    &[
        key(
            "allow",
            Form::List(&Form::Rule),
            "[]",
            "Private hosts, addresses and networks that services may name, with or without a port.",
        ),
        key(
            "extra-roots",
            Form::Path,
            "",
            "PEM file with certificates of further authorities, relative to this file.",
        ),
    ],
);

static LISTEN: Shape = shape(
    "`listen`",
    &[
        key(
            "http",
            Form::OrNone(&Form::Text),
            "\"127.0.0.1:7717\"",
            "Address and port; port 0 takes any that is free, `none` serves runs alone.",
        ),
        key(
            "hosts",
            Form::List(&Form::Text),
            "[]",
            "Names under which clients reach this host besides its address and `localhost`, with the port unless it is the scheme's own.",
        ),
        key("body", Form::Size, "\"4MiB\"", "The most of a request's body."),
        key("upload", Form::Size, "\"128MiB\"", "The most of a deployment's body."),
        key(
            "head-time",
            Form::SomeDuration,
            "\"30s\"",
            "How long a connection may take to send the head of its next request; an idle one is closed then.",
        ),
        key(
            "body-time",
            Form::SomeDuration,
            "\"60s\"",
            "How long a request may take to send its body.",
        ),
        key(
            "connections",
            Form::Count(1, 1_000_000),
            "4096",
            "Open connections; more are closed at once.",
        ),
        key(
            "requests",
            Form::Count(1, 1_000_000),
            "512",
            "Requests at once, calls that wait included; more are refused as overloaded.",
        ),
        key(
            "rate",
            Form::OrNone(&Form::Rate),
            "\"1000/s\"",
            "Requests of one principal per period.",
        ),
    ],
);

static OIDC: Shape = shape(
    "`oidc`",
    &[
        key(
            "issuer",
            Form::Text,
            "",
            "Address of the issuer, as its tokens name it; without one, no tokens are taken.",
        ),
        key(
            "audience",
            Form::Text,
            "\"fusebox\"",
            "Whom tokens are meant for: this host's name at the issuer.",
        ),
        key(
            "roles-claim",
            Form::Text,
            "\"roles\"",
            "The claim that names the roles; dots lead into objects.",
        ),
        key(
            "tenant-claim",
            Form::Text,
            "",
            "The claim that names the tenant; without it, all are of the tenant `default`.",
        ),
    ],
);

static BLOBS: Shape = shape(
    "`blobs`",
    &[
        key(
            "store",
            Form::Text,
            "",
            "Bucket and prefix of a store that speaks S3's protocol, such as \"s3://fusebox/production\"; without it they are in the database. Credentials are in the variables `AWS_…`.",
        ),
        key(
            "endpoint",
            Form::Url,
            "",
            "Where a store is that is not Amazon's, such as \"https://minio.example:9000\".",
        ),
        key(
            "region",
            Form::Text,
            "",
            "Region of the bucket, where `AWS_REGION` does not say it.",
        ),
        key(
            "plain-http",
            Form::Word(&["loopback", "anywhere"]),
            "\"loopback\"",
            "Where the endpoint may be without TLS: anybody on the way can read what is put there.",
        ),
    ],
);

static RETENTION: Shape = shape(
    "`retention`",
    &[
        key(
            "letters",
            Form::SomeDuration,
            "\"30d\"",
            "Dead letters that were closed, or nobody settled.",
        ),
        key(
            "known-bad",
            Form::SomeDuration,
            "\"7d\"",
            "Letters of faults and exhausted limits.",
        ),
        key("runs", Form::SomeDuration, "\"30d\"", "Runs that ended."),
        key(
            "keys",
            Form::SomeDuration,
            "\"24h\"",
            "Outcomes under an idempotency key; at least a day.",
        ),
        key(
            "failed-journals",
            Form::SomeDuration,
            "\"7d\"",
            "Journals of failed runs that became no letter; `fusebox runs resume` needs them.",
        ),
    ],
);

static RECOVERY: Shape = shape(
    "`recovery`",
    &[
        key(
            "cap",
            Form::Count(1, 1_000),
            "5",
            "Recoveries of a run before it becomes a letter: one that kills its host does not kill them all.",
        ),
        key(
            "poll",
            Form::SomeDuration,
            "\"1s\"",
            "How often a serving host looks for runs that nobody holds, and for letters to replay.",
        ),
    ],
);

static ENCRYPTION: Shape = shape(
    "`encryption`",
    &[key(
        "key",
        Form::KeyPlace,
        "",
        "Where the key is, 32 bytes in base64: a file, relative to this one, or `${secret:NAME}`. Inputs, results, journals and memory of tools are encrypted with it.",
    )],
);

static APPROVALS: Shape = shape(
    "`approvals`",
    &[key(
        "expires",
        Form::SomeDuration,
        "\"24h\"",
        "How long a question stands where a function has no `approval-expires`.",
    )],
);

static LETTERS: Shape = shape(
    "`letters`",
    &[key(
        "quota",
        Form::OrNone(&Form::Count(1, 1_000_000_000)),
        "10000",
        "More open letters than this are worth an alert; none is ever dropped.",
    )],
);

static AUTO_REPLAY: Shape = shape(
    "`auto-replay`",
    &[
        key(
            "rate",
            Form::Rate,
            "\"60/min\"",
            "Letters per period, all services together.",
        ),
        key("max", Form::Count(1, 1_000), "3", "Replays of one letter."),
    ],
);

static OTLP: Shape = shape(
    "`otlp`",
    &[key(
        "endpoint",
        Form::Url,
        "",
        "A collector that takes OTLP over HTTP, such as \"http://127.0.0.1:4318\"; nothing is traced without one.",
    )],
);

static ALERTS: Shape = shape(
    "`alerts`",
    &[
        key(
            "letters-per-minute",
            ANY_COUNT,
            "10",
            "More new letters of one service within a minute are worth an alert.",
        ),
        key(
            "oldest-age",
            Form::OrNone(&Form::SomeDuration),
            "\"24h\"",
            "An open letter of that age is worth an alert.",
        ),
        key(
            "webhook",
            Form::Url,
            "",
            "Where alerts are posted as JSON, under the rules of `network`; without it they are in the log alone.",
        ),
    ],
);

static POOL: Shape = shape(
    "`pool`",
    &[
        key(
            "instances",
            Form::Count(8, 100_000),
            "256",
            "Components that run at once: half of them as calls from outside, the rest as calls of those.",
        ),
        key(
            "threads",
            Form::Count(0, 1_024),
            "0",
            "Threads that guests compute on; 0 takes one for each processor.",
        ),
    ],
);

static COMPILE: Shape = shape(
    "`compile`",
    &[
        key("memory", Form::Size, "\"2GiB\"", "Memory of the compiler."),
        key("time", Form::SomeDuration, "\"2m\"", "Time of the compiler."),
    ],
);

static SECRETS: Shape = shape(
    "`secrets`",
    &[
        key(
            "source",
            Form::Word(&["file", "environment", "command"]),
            "\"file\"",
            "Where values come from: the file that `fusebox secrets set` writes, variables `FUSEBOX_SECRET_NAME`, or a command.",
        ),
        key(
            "file",
            Form::Path,
            "",
            "The file, relative to this one; `secrets.toml` beside it without this key.",
        ),
        key(
            "command",
            Form::List(&Form::Text),
            "[]",
            "Program and arguments that print a value; `{name}` stands for the secret's name.",
        ),
        key(
            "hosts",
            Form::Map(&Form::Secret, &Form::List(&Form::Host)),
            "",
            "The hosts that each secret may go to; any other use is refused.",
        ),
    ],
);

/// The most that any manifest gets.
pub(crate) static CEILINGS: Shape = shape(
    "`ceilings`",
    &[
        key("memory", Form::Size, "", "The most of `limits.memory`."),
        key(
            "table-elements",
            Form::Count(1, 100_000_000),
            "",
            "The most of `limits.table-elements`.",
        ),
        key(
            "instances",
            Form::Count(1, 100_000),
            "",
            "The most of `limits.instances`.",
        ),
        key(
            "fuel",
            Form::Count(1, i64::MAX as u64),
            "",
            "The most of `limits.fuel`.",
        ),
        key("output", Form::Size, "", "The most of `limits.output`."),
        key("log", Form::Size, "", "The most of `limits.log`."),
        key("host-memory", Form::Size, "", "The most of `limits.host-memory`."),
        key(
            "concurrency",
            Form::Count(1, 1_000_000),
            "",
            "The most of `limits.concurrency`.",
        ),
        key("timeout", Form::SomeDuration, "", "The most of a function's `timeout`."),
        key(
            "deadline",
            Form::SomeDuration,
            "",
            "The most of a function's `deadline`.",
        ),
        key(
            "attempts",
            Form::Count(1, 1_000),
            "",
            "The most of `attempts` of a retry policy.",
        ),
        key(
            "max-total-attempts",
            Form::Count(1, 100_000),
            "",
            "The most of `max-total-attempts` of a retry policy.",
        ),
        key(
            "exchange-timeout",
            Form::SomeDuration,
            "",
            "The most of a service's `timeout`.",
        ),
        key(
            "max-response",
            Form::Size,
            "",
            "The most of a service's `max-response`.",
        ),
        key(
            "exchanges",
            Form::Count(1, 1_000_000),
            "",
            "The most of a service's `concurrency`.",
        ),
    ],
);
