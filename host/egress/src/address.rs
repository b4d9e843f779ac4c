//! The guard of addresses: what a guest must not reach through the host, in every spelling that stands for it.

use crate::settings::Allow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The special ranges of IPv4 (RFC 6890 and IANA's registry), the more specific ones first.
const V4: [(Ipv4Addr, u8, &str); 17] = [
    (Ipv4Addr::UNSPECIFIED, 32, "unspecified"),
    (Ipv4Addr::new(0, 0, 0, 0), 8, "\"this network\" (0.0.0.0/8)"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private (10.0.0.0/8)"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by carriers (100.64.0.0/10)"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback (127.0.0.0/8)"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local (169.254.0.0/16)"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private (172.16.0.0/12)"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved for protocols (192.0.0.0/24)"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation (192.0.2.0/24)"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a 6to4 relay (192.88.99.0/24)"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private (192.168.0.0/16)"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking (198.18.0.0/15)"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation (198.51.100.0/24)"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation (203.0.113.0/24)"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast (224.0.0.0/4)"),
    (Ipv4Addr::BROADCAST, 32, "broadcast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved (240.0.0.0/4)"),
];

/// The special ranges of IPv6; what is left outside of 2000::/3 is not assigned to anybody.
const V6: [(Ipv6Addr, u8, &str); 11] = [
    (Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    (Ipv6Addr::LOCALHOST, 128, "loopback (::1)"),
    (
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0),
        48,
        "private translation (64:ff9b:1::/48)",
    ),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, "discard-only (100::/64)"),
    (
        Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),
        23,
        "reserved for protocols (2001::/23)",
    ),
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        "documentation (2001:db8::/32)",
    ),
    (
        Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),
        20,
        "documentation (3fff::/20)",
    ),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "private (fc00::/7)"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local (fe80::/10)"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "site-local (fec0::/10)"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast (ff00::/8)"),
];

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    range: &'static str,
    /// How IPv6 spells the IPv4 address that the range belongs to.
    spelling: Option<&'static str>,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.range)?;
        match self.spelling {
            Some(spelling) => write!(f, ", spelled as {spelling}"),
            None => Ok(()),
        }
    }
}

/// The rule that refuses an address; `None` for one of the public internet.
pub(crate) fn forbidden(address: IpAddr) -> Option<Rule> {
    match address {
        IpAddr::V4(v4) => v4_range(v4).map(|range| Rule { range, spelling: None }),
        IpAddr::V6(v6) => v6_rule(v6),
    }
}

fn v4_range(address: Ipv4Addr) -> Option<&'static str> {
    let within = |network: Ipv4Addr, bits: u8| (network.to_bits() ^ address.to_bits()) >> (32 - bits) == 0;
    V4.iter()
        .find(|(network, bits, _)| within(*network, *bits))
        .map(|(_, _, range)| *range)
}

fn v6_rule(address: Ipv6Addr) -> Option<Rule> {
    let within = |network: Ipv6Addr, bits: u8| (network.to_bits() ^ address.to_bits()) >> (128 - bits) == 0;
    if let Some((_, _, range)) = V6.iter().find(|(network, bits, _)| within(*network, *bits)) {
        return Some(Rule { range, spelling: None });
    }
    match embedded(address) {
        Some((v4, spelling)) => v4_range(v4).map(|range| Rule {
            range,
            spelling: Some(spelling),
        }),
        None if address.segments()[0] >> 13 == 1 => None,
        None => Some(Rule {
            range: "outside of the public internet (2000::/3)",
            spelling: None,
        }),
    }
}

/// The IPv4 address that an IPv6 address stands for, and how it is called.
fn embedded(address: Ipv6Addr) -> Option<(Ipv4Addr, &'static str)> {
    let s = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    let last = v4(s[6], s[7]);
    match s {
        [0, 0, 0, 0, 0, 0xffff, _, _] => Some((last, "IPv4-mapped IPv6")),
        [0, 0, 0, 0, 0xffff, 0, _, _] => Some((last, "IPv4-translated IPv6")),
        [0, 0, 0, 0, 0, 0, _, _] => Some((last, "IPv4-compatible IPv6")),
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some((last, "NAT64 (64:ff9b::/96)")),
        [0x2002, high, low, ..] => Some((v4(high, low), "6to4 (2002::/16)")),
        [0x2000..=0x3fff, _, _, _, 0 | 0x200, 0x5efe, _, _] => Some((last, "ISATAP")),
        _ => None,
    }
}

/// Lets `addresses` of `host` through if every one of them is public or allowed by the operator: a name that mixes
/// public addresses with private ones is an attack or a mistake, and picking among them would hide it.
///
/// # Errors
/// The rule that refused, and the entry of the operator's file that would allow it.
pub(crate) fn check(allow: &Allow, host: &str, addresses: &[IpAddr], port: u16) -> Result<(), String> {
    for &address in addresses {
        let Some(rule) = forbidden(address) else { continue };
        if allow(host, address, port) {
            continue;
        }
        let entry = match host.parse::<Ipv6Addr>() {
            Ok(_) => format!("[{host}]:{port}"),
            Err(_) => format!("{host}:{port}"),
        };
        let what = if host.parse() == Ok(address) {
            format!("{address} is {rule}")
        } else {
            format!("{host} is {address}, which is {rule}")
        };
        return Err(format!(
            "{what}; if that is meant, add \"{entry}\" to `network.allow` in fusebox.toml"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn refused(text: &str) -> Option<String> {
        forbidden(text.parse().unwrap()).map(|rule| rule.to_string())
    }

    #[test]
    fn every_special_range_is_refused_from_its_first_to_its_last_address() {
        for (first, last, name) in [
            ("0.0.0.0", "0.255.255.255", ""),
            ("10.0.0.0", "10.255.255.255", "private"),
            ("100.64.0.0", "100.127.255.255", "carriers"),
            ("127.0.0.0", "127.255.255.255", "loopback"),
            ("169.254.0.0", "169.254.255.255", "link-local"),
            ("169.254.169.254", "169.254.169.254", "link-local"),
            ("172.16.0.0", "172.31.255.255", "private"),
            ("192.0.0.0", "192.0.0.255", "protocols"),
            ("192.0.2.0", "192.0.2.255", "documentation"),
            ("192.88.99.0", "192.88.99.255", "6to4"),
            ("192.168.0.0", "192.168.255.255", "private"),
            ("198.18.0.0", "198.19.255.255", "benchmarking"),
            ("198.51.100.0", "198.51.100.255", "documentation"),
            ("203.0.113.0", "203.0.113.255", "documentation"),
            ("224.0.0.0", "239.255.255.255", "multicast"),
            ("240.0.0.0", "255.255.255.254", "reserved"),
            ("255.255.255.255", "255.255.255.255", "broadcast"),
            ("::", "::", "unspecified"),
            ("::1", "::1", "loopback"),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "translation"),
            ("100::", "100::ffff:ffff:ffff:ffff", "discard"),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "protocols"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "private"),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local"),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"),
            ("200::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "outside"),
            ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "outside"),
        ] {
            for text in [first, last] {
                let rule = refused(text).unwrap_or_else(|| panic!("{text} is let through"));
                assert!(rule.contains(name), "{text}: {rule}");
            }
        }
    }

    #[test]
    fn the_neighbours_of_special_ranges_are_public() {
        for text in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "8.8.8.8",
            "2000::1",
            "2001:200::",
            "2001:db7::",
            "2001:db9::",
            "2606:4700::1111",
            "3ffe::1",
            "3fff:1000::",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert_eq!(refused(text), None, "{text}");
        }
    }

    #[test]
    fn spellings_of_private_addresses_are_named() {
        for (text, rule) in [
            (
                "::ffff:127.0.0.1",
                "loopback (127.0.0.0/8), spelled as IPv4-mapped IPv6",
            ),
            (
                "::ffff:a9fe:a9fe",
                "link-local (169.254.0.0/16), spelled as IPv4-mapped IPv6",
            ),
            ("::127.0.0.1", "loopback (127.0.0.0/8), spelled as IPv4-compatible IPv6"),
            (
                "::ffff:0:10.0.0.1",
                "private (10.0.0.0/8), spelled as IPv4-translated IPv6",
            ),
            (
                "64:ff9b::10.0.0.1",
                "private (10.0.0.0/8), spelled as NAT64 (64:ff9b::/96)",
            ),
            ("2002:7f00:1::", "loopback (127.0.0.0/8), spelled as 6to4 (2002::/16)"),
            (
                "2002:a9fe:a9fe:1:2:3:4:5",
                "link-local (169.254.0.0/16), spelled as 6to4 (2002::/16)",
            ),
            ("2a00::5efe:192.168.0.1", "private (192.168.0.0/16), spelled as ISATAP"),
            (
                "2a00::200:5efe:192.168.0.1",
                "private (192.168.0.0/16), spelled as ISATAP",
            ),
        ] {
            assert_eq!(refused(text).as_deref(), Some(rule), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_private_v4_is_refused_in_each_of_its_v6_spellings(
            range in prop::sample::select(vec![
                ([10, 0, 0, 0], 8), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16), ([127, 0, 0, 0], 8),
                ([169, 254, 0, 0], 16), ([100, 64, 0, 0], 10), ([198, 18, 0, 0], 15), ([0, 0, 0, 0], 8), ([224, 0, 0, 0], 3),
            ]),
            rest in any::<u32>(),
            low in any::<u64>(),
        ) {
            let (network, bits): ([u8; 4], u32) = range;
            let v4 = Ipv4Addr::from_bits(u32::from_be_bytes(network) | rest & (u32::MAX >> bits));
            let number = u128::from(v4.to_bits());
            let spellings = [
                0xffff_u128 << 32 | number,
                number,
                0xffff_u128 << 48 | number,
                0x0064_ff9b_u128 << 96 | number,
                0x0064_ff9b_0001_u128 << 80 | number,
                0x2002_u128 << 112 | number << 80 | u128::from(low),
                0x2a00_u128 << 112 | 0x5efe_u128 << 32 | number,
            ];
            prop_assert!(forbidden(IpAddr::V4(v4)).is_some(), "{v4}");
            for spelling in spellings {
                let v6 = Ipv6Addr::from_bits(spelling);
                prop_assert!(forbidden(IpAddr::V6(v6)).is_some(), "{v4} as {v6}");
            }
        }

        #[test]
        fn mapping_never_changes_the_verdict(number in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(number);
            let mapped = IpAddr::V6(v4.to_ipv6_mapped());
            prop_assert_eq!(forbidden(IpAddr::V4(v4)).is_some(), forbidden(mapped).is_some());
        }
    }

    #[test]
    fn the_operator_allows_exactly_what_he_names() {
        let allow: Allow = Arc::new(|host, address, port| {
            host == "db.internal" && address == IpAddr::from([10, 0, 0, 1]) && port == 5432
        });
        let public: IpAddr = "8.8.8.8".parse().unwrap();
        let private: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(check(&allow, "db.internal", &[private, public], 5432), Ok(()));
        for (host, addresses, port) in [
            ("db.internal", vec![private], 5433),
            ("other.internal", vec![private], 5432),
            ("db.internal", vec![public, "10.0.0.2".parse().unwrap()], 5432),
            ("db.internal", vec!["::ffff:10.0.0.2".parse().unwrap()], 5432),
        ] {
            let reason = check(&allow, host, &addresses, port).unwrap_err();
            assert!(reason.contains("private (10.0.0.0/8)"), "{reason}");
            assert!(
                reason.contains(&format!("\"{host}:{port}\" to `network.allow` in fusebox.toml")),
                "{reason}"
            );
        }
        let reason = check(&allow, "::1", &["::1".parse().unwrap()], 80).unwrap_err();
        assert_eq!(
            reason,
            "::1 is loopback (::1); if that is meant, add \"[::1]:80\" to `network.allow` in fusebox.toml"
        );
    }
}
