//! Origins that services are reached at, and the operator's rules about addresses.

use super::Problem;
use super::names::short;
use fusebox_core::policy::Origin;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ORIGIN_HELP: &str = "write a host name such as \"api.search.example\" (TLS on 443), or \"https://host:8443\", or \"http://127.0.0.1:8801\"";
const RULE_HELP: &str = "write a host, an address or a network, each with or without a port: \"db.internal:5432\", \"127.0.0.1:8801\", \"10.0.0.0/8\" or \"[::1]:8801\"";

/// An origin: `host`, `host:port`, `http://host:port`, `https://host`; TLS on 443 unless it says otherwise.
///
/// # Errors
/// What is wrong and what to write.
pub fn origin(text: &str) -> Result<Origin, Problem> {
    let bad = |why: &str| Problem::new(format!("`{}` is not a host: {why}", short(text)), ORIGIN_HELP);
    let (tls, rest) = match text.split_once("://") {
        None => (true, text),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
        Some(_) => return Err(bad("only http and https are spoken")),
    };
    if rest.contains('@') {
        return Err(bad("credentials belong into `headers`, as a secret"));
    }
    if rest.contains(['/', '?', '#']) {
        return Err(bad("it has a path; a service is granted whole hosts"));
    }
    if rest.contains('*') {
        return Err(bad("every host is named in full, without wildcards"));
    }
    let (host, port) = host_and_port(rest).map_err(bad)?;
    let port = port.unwrap_or(if tls { 443 } else { 80 });
    Ok(Origin { tls, host, port })
}

/// An origin as [`origin`] reads it, in its shortest form.
#[must_use]
pub fn show_origin(origin: &Origin) -> String {
    let host = if origin.host.contains(':') {
        format!("[{}]", origin.host)
    } else {
        origin.host.clone()
    };
    match (origin.tls, origin.port) {
        (true, 443) => host,
        (true, port) => format!("{host}:{port}"),
        (false, 80) => format!("http://{host}"),
        (false, port) => format!("http://{host}:{port}"),
    }
}

/// Splits `host`, `host:port`, `[v6]`, `[v6]:port`; the host in lower case, a v6 literal in its canonical form.
fn host_and_port(text: &str) -> Result<(String, Option<u16>), &'static str> {
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']').ok_or("its `[` is not closed")?;
        let address: Ipv6Addr = inside
            .parse()
            .map_err(|_| "what stands in brackets is not an IPv6 address")?;
        let port = match after.strip_prefix(':') {
            Some(digits) => Some(port(digits)?),
            None if after.is_empty() => None,
            None => return Err("something follows the `]`"),
        };
        return Ok((address.to_string(), port));
    }
    if text.matches(':').count() > 1 {
        return Err("an IPv6 address stands in brackets");
    }
    let (host, port) = match text.split_once(':') {
        Some((host, digits)) => (host, Some(port(digits)?)),
        None => (text, None),
    };
    Ok((host_name(host)?, port))
}

fn port(digits: &str) -> Result<u16, &'static str> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse() {
        Ok(port) if plain && port != 0 => Ok(port),
        _ => Err("its port is not a number between 1 and 65535"),
    }
}

/// A DNS name or a dotted IPv4 address. Other spellings of addresses (`0x7f.1`, `2130706433`) are refused: resolvers
/// read them as addresses, and whoever reviews a manifest does not.
fn host_name(text: &str) -> Result<String, &'static str> {
    let host = text.to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.is_empty() {
        return Err("it is empty");
    }
    if !host.is_ascii() {
        return Err("a name with other than ASCII letters is written in its `xn--` form");
    }
    if host.ends_with('.') {
        return Err("leave its last dot out");
    }
    if host.len() > 253 || !host.split('.').all(label) {
        return Err("a name is made of letters, digits, `-` and `.`");
    }
    let last = host.rsplit('.').next().unwrap_or("");
    let numeric = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err("an IPv4 address is written as four numbers");
    }
    Ok(host)
}

/// What a rule lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host by its name, whatever address it has.
    Host(String),
    /// A network: address and the number of leading bits that count.
    Network(IpAddr, u8),
}

/// An entry of `network.allow`: the guard of addresses lets it through although it is private.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRule {
    /// Which hosts.
    pub target: Target,
    /// Which port; `None` means every port.
    pub port: Option<u16>,
}

impl NetworkRule {
    /// Whether it lets a connection through: to `host` as the service names it, resolved to `address`, on `port`.
    #[must_use]
    pub fn permits(&self, host: &str, address: IpAddr, port: u16) -> bool {
        self.port.is_none_or(|only| only == port)
            && match &self.target {
                Target::Host(name) => name.eq_ignore_ascii_case(host),
                Target::Network(network, bits) => contains(*network, *bits, address),
            }
    }
}

impl fmt::Display for NetworkRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.target {
            Target::Host(name) => name.clone(),
            Target::Network(address, bits) if *bits == width(*address) => address.to_string(),
            Target::Network(address, bits) => format!("{address}/{bits}"),
        };
        match (&self.target, self.port) {
            (_, None) => f.write_str(&text),
            (Target::Network(IpAddr::V6(_), _), Some(port)) => write!(f, "[{text}]:{port}"),
            (_, Some(port)) => write!(f, "{text}:{port}"),
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// IPv4-mapped IPv6 addresses count as the IPv4 address that they stand for.
fn contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    match (network, address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            u32::from(network) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            u128::from(network) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}

/// A rule of `network.allow`: `host`, `address`, `network/bits`, each with or without `:port`; IPv6 with a port in brackets.
///
/// # Errors
/// What is wrong and what to write.
pub fn network_rule(text: &str) -> Result<NetworkRule, Problem> {
    let bad = |why: &str| {
        Problem::new(
            format!("`{}` is not a host, address or network: {why}", short(text)),
            RULE_HELP,
        )
    };
    let (inside, port_text) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']').ok_or_else(|| bad("its `[` is not closed"))?;
            (inside, after)
        }
        None if text.matches(':').count() > 1 => (text, ""),
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let port = match port_text.strip_prefix(':') {
        Some(digits) => Some(port(digits).map_err(bad)?),
        None if port_text.is_empty() => None,
        None => return Err(bad("something follows the `]`")),
    };
    let target = match inside.split_once('/') {
        Some((address, bits)) => network(address, bits).map_err(|why| bad(&why))?,
        None => match inside.parse::<IpAddr>() {
            Ok(address) => Target::Network(address.to_canonical(), width(address.to_canonical())),
            Err(_) => Target::Host(host_name(inside).map_err(bad)?),
        },
    };
    Ok(NetworkRule { target, port })
}

fn network(address: &str, bits: &str) -> Result<Target, String> {
    let address: IpAddr = address
        .parse()
        .map_err(|_| "what stands before the `/` is not an address".to_owned())?;
    let plain = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
    let bits = bits.parse::<u8>().ok().filter(|&bits| plain && bits <= width(address));
    let bits = bits.ok_or_else(|| format!("what stands after the `/` is a number up to {}", width(address)))?;
    let first = match address {
        IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) & u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)).into()),
        IpAddr::V6(v6) => {
            IpAddr::V6((u128::from(v6) & u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)).into())
        }
    };
    if first != address {
        return Err(format!("the network begins at {first}/{bits}"));
    }
    Ok(Target::Network(address, bits))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn made(tls: bool, host: &str, port: u16) -> Origin {
        Origin {
            tls,
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn origins_at_their_edges() {
        for (text, expected) in [
            ("api.search.example", made(true, "api.search.example", 443)),
            ("API.Example:8443", made(true, "api.example", 8443)),
            ("https://h:8443", made(true, "h", 8443)),
            ("http://127.0.0.1:8801", made(false, "127.0.0.1", 8801)),
            ("http://h", made(false, "h", 80)),
            ("HTTPS://[::1]", made(true, "::1", 443)),
            ("[2001:DB8:0:0::1]:9", made(true, "2001:db8::1", 9)),
        ] {
            assert_eq!(origin(text).unwrap(), expected, "{text}");
            assert_eq!(origin(&show_origin(&expected)).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "https://",
            "ftp://h",
            "h:0",
            "h:65536",
            "h:",
            "h:+1",
            "::1",
            "[::1",
            "[::1]x",
            "[fe80::1%eth0]",
            "h/",
            "h/path",
            "h?q",
            "u:p@h",
            "*.example",
            "a..b",
            "-a.example",
            "a.example.",
            "münchen.example",
            "0x7f.1",
            "2130706433",
            "127.1",
            "256.1.1.1",
            "1.2.3.4.5",
            "0177.0.0.1",
            "h ost",
            "h\n",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rules_let_through_what_they_name_and_nothing_else() {
        let permits = |rule: &str, host: &str, address: &str, port| {
            network_rule(rule)
                .unwrap()
                .permits(host, address.parse().unwrap(), port)
        };
        assert!(permits("127.0.0.1:8801", "x", "127.0.0.1", 8801));
        assert!(permits("127.0.0.1:8801", "x", "::ffff:127.0.0.1", 8801));
        assert!(!permits("127.0.0.1:8801", "x", "127.0.0.1", 8802));
        assert!(!permits("127.0.0.1", "x", "127.0.0.2", 80));
        assert!(permits("10.0.0.0/8", "x", "10.255.255.255", 1));
        assert!(!permits("10.0.0.0/8", "x", "11.0.0.0", 1));
        assert!(permits("10.0.0.0/8:5432", "x", "10.1.2.3", 5432));
        assert!(permits("0.0.0.0/0", "x", "192.168.0.1", 1));
        assert!(!permits("0.0.0.0/0", "x", "::1", 1));
        assert!(permits("[::1]:80", "x", "::1", 80));
        assert!(permits("fd00::/8", "x", "fdff::1", 80));
        assert!(permits("[fd00::/8]:80", "x", "fd00::1", 80));
        assert!(permits("::/0", "x", "fe80::1", 80));
        assert!(permits("DB.internal", "db.internal", "10.0.0.1", 80));
        assert!(!permits("db.internal", "xdb.internal", "10.0.0.1", 80));
    }

    #[test]
    fn rules_at_their_edges() {
        for text in [
            "127.0.0.1:8801",
            "10.0.0.0/8",
            "10.0.0.0/8:1",
            "[::1]:80",
            "::1",
            "fd00::/8",
            "[fd00::/8]:80",
            "db.internal:5432",
        ] {
            assert_eq!(network_rule(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "fd00::/129",
            "[::1",
            "[::1]80",
            "h:0",
            "http://h",
            "*",
            "0x7f.1",
            "h/8",
        ] {
            assert!(network_rule(text).is_err(), "{text}");
        }
        assert!(network_rule("10.1.0.0/8").unwrap_err().message.contains("10.0.0.0/8"));
    }
}
