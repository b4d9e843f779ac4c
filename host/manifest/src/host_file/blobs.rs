//! Where components and pages are that are not in the database.

use super::HostFile;
use super::checks::span;
use super::settings::Settings;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::lower::Lowering;
use crate::node::Table;
use crate::units::{Url, show_origin};
use std::fmt;
use std::net::IpAddr;

/// A bucket of a store that speaks S3's protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobSettings {
    /// The name of the bucket.
    pub bucket: String,
    /// What the keys of all objects begin with; may be empty.
    pub prefix: String,
    /// The address of a store that is not Amazon's.
    pub endpoint: Option<String>,
    /// The region of the bucket.
    pub region: Option<String>,
}

impl fmt::Display for BlobSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        write!(f, "s3://{}{slash}{}", self.bucket, self.prefix)?;
        match &self.endpoint {
            Some(endpoint) => write!(f, " at {endpoint}"),
            None => Ok(()),
        }
    }
}

/// What was set, right or wrong.
pub(super) fn blobs(s: &Settings) -> Option<BlobSettings> {
    let (bucket, prefix) = place(&s.text("blobs.store")?).ok()?;
    Some(BlobSettings {
        bucket,
        prefix,
        endpoint: s.url("blobs.endpoint").map(|url| address(&url)),
        region: s.text("blobs.region"),
    })
}

fn address(url: &Url) -> String {
    let scheme = if url.origin.tls { "https://" } else { "" };
    format!("{scheme}{}{}", show_origin(&url.origin), url.path.trim_end_matches('/'))
}

/// Bucket and prefix of `s3://BUCKET/PREFIX`.
///
/// # Errors
/// What is wrong with it.
fn place(text: &str) -> Result<(String, String), &'static str> {
    let rest = text.strip_prefix("s3://").ok_or("it does not begin with s3://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    // A name that stands in addresses, <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(fits) {
        return Err("the name of a bucket has 3 to 63 small letters, digits, `-` and `.`");
    }
    let prefix = prefix.trim_end_matches('/');
    let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
    if prefix.contains(odd)
        || prefix
            .split('/')
            .any(|part| part.is_empty() && !prefix.is_empty() || part.starts_with('.'))
    {
        return Err("a prefix has letters, digits, `-`, `_` and `.`, in parts that `/` separates");
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

/// Whether what was set can be used.
pub(super) fn check(host: &HostFile, table: &Table, cx: &mut Lowering<'_>) {
    let settings = &host.settings;
    let store = settings.text("blobs.store");
    if let Some(Err(why)) = store.as_deref().map(place) {
        // Its line is not shown: somebody may have written credentials into it.
        cx.findings.push(
            Diagnostic::error(codes::BLOBS, format!("`blobs.store` is no place for objects: {why}")).help(
                "write it like \"s3://fusebox/production\"; credentials are in the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ),
        );
    }
    let Some(endpoint) = settings.url("blobs.endpoint") else {
        return;
    };
    let place = span(table.table("blobs"), "endpoint");
    let origin = &endpoint.origin;
    let here = origin.host == "localhost" || origin.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if !origin.tls && !here && settings.text("blobs.plain-http").as_deref() != Some("anywhere") {
        let message = format!(
            "`blobs.endpoint` is at another machine, {}, and without TLS",
            origin.host
        );
        let help = "write https://, or `plain-http = \"anywhere\"` under `[blobs]` if nobody else is on the way there";
        cx.findings
            .push(Diagnostic::error(codes::BLOBS, message).at(place).help(help));
    }
}
