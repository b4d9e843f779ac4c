//! `traceparent` headers: read to the letter, written so that they are read again.
#![allow(clippy::unwrap_used)]

use fusebox_core::trace::{TraceContext, TraceState};
use proptest::prelude::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

#[test]
fn a_traceparent_is_read() {
    let context: TraceContext = format!("00-{TRACE}-{SPAN}-01").parse().unwrap();
    assert_eq!(context.trace, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    assert_eq!(context.span, 0xb7ad_6b71_6920_3331);
    assert!(context.sampled);
    assert_eq!(context.trace_id().to_string(), TRACE);
    let flags = |flags: &str| format!("00-{TRACE}-{SPAN}-{flags}").parse::<TraceContext>().unwrap();
    assert!(!flags("00").sampled);
    assert!(!flags("02").sampled, "other flags say nothing about sampling");
    assert!(flags("ff").sampled);
}

#[test]
fn a_later_version_is_read_as_far_as_it_promises_to_stay_the_same() {
    for later in [
        format!("01-{TRACE}-{SPAN}-01"),
        format!("cc-{TRACE}-{SPAN}-01-what-comes-later"),
    ] {
        let context: TraceContext = later.parse().unwrap();
        assert_eq!(context.to_string(), format!("00-{TRACE}-{SPAN}-01"), "{later}");
    }
}

#[test]
fn what_is_none_is_refused() {
    for text in [
        String::new(),
        "00".to_owned(),
        format!("00-{TRACE}-{SPAN}"),
        format!("00-{TRACE}-{SPAN}-1"),
        format!("00-{TRACE}-{SPAN}-001"),
        format!("00-{TRACE}-{SPAN}-0g"),
        format!("00-{TRACE}-{SPAN}-01-"),
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("0-{TRACE}-{SPAN}-01"),
        format!("0x-{TRACE}-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-+{}-{SPAN}-01", &TRACE[1..]),
        format!("00-{}-{SPAN}-01", &TRACE[1..]),
        format!("00-{TRACE}0-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}0-01"),
        format!(" 00-{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}-01 "),
        format!("00-{}é-{SPAN}-01", &TRACE[2..]),
    ] {
        assert!(text.parse::<TraceContext>().is_err(), "{text:?}");
    }
}

#[test]
fn a_tracestate_is_handed_on_to_the_letter() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let thirty_two = (0..32).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    for state in [
        "rojo=00f067aa0ba902b7",
        "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7",
        "fw529a3039@dt=FfffffeB , a=b c!,,z*/_-=~",
        "1a=b",
        &format!("a={}", "x".repeat(256)),
        &thirty_two,
    ] {
        let context = TraceContext::of_headers(&parent, Some(state)).unwrap();
        assert_eq!(context.state.as_ref().unwrap().to_string(), state);
        assert_eq!(context.traceparent(), parent);
        assert_eq!(context.to_string().parse(), Ok(context), "{state}");
    }
}

#[test]
fn a_tracestate_that_is_none_is_left_out_and_goes_with_its_traceparent() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let thirty_three = (0..33).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    for state in [
        "",
        ",",
        "a",
        "a=",
        "=b",
        "A=b",
        "a=b,a=c",
        "a=b=c",
        "a b=c",
        "a@b@c=d",
        "a@=d",
        "@a=d",
        "a=é",
        "a=b\n",
        &format!("a={}", "x".repeat(257)),
        &format!("{}=b", "x".repeat(257)),
        &thirty_three,
    ] {
        let context = TraceContext::of_headers(&parent, Some(state)).unwrap();
        assert_eq!(context.state, None, "{state:?}");
    }
    assert!(TraceContext::of_headers("00", Some("a=b")).is_err());
    assert!(TraceContext::of_headers(&format!("{parent} a=b"), None).is_err());
}

#[test]
fn of_a_long_tracestate_whole_entries_are_kept() {
    let entry = |key: &str, length: usize| format!("{key}={}", "x".repeat(length));
    let kept = |entries: &[String]| entries.join(",").parse::<TraceState>().unwrap().to_string();
    let (a, long, b, c) = (entry("a", 100), entry("long", 200), entry("b", 100), entry("c", 120));
    // Those above 128 characters first.
    let all = [a.clone(), long.clone(), b.clone(), c.clone()];
    assert_eq!(kept(&all), [a.clone(), b.clone(), c.clone()].join(","));
    // Then from the end.
    let many: Vec<_> = (0..10).map(|n| entry(&format!("k{n}"), 100)).collect();
    assert_eq!(kept(&many), many[..4].join(","));
    assert!(
        [entry("a", 250), entry("b", 250), entry("c", 250)]
            .join(",")
            .parse::<TraceState>()
            .is_err()
    );
}

#[test]
fn a_state_stays_with_its_trace() {
    let context = |trace: &str, state| TraceContext::of_headers(&format!("00-{trace}-{SPAN}-01"), state).unwrap();
    let (ours, theirs) = (context(TRACE, None), context(TRACE, Some("a=b")));
    assert_eq!(ours.clone().with_state_of(Some(&theirs)).state, theirs.state);
    let other = context(&"1".repeat(32), Some("a=b"));
    assert_eq!(ours.with_state_of(Some(&other)).state, None);
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(trace in 1_u128.., span in 1_u64.., sampled: bool) {
        let context = TraceContext { trace, span, sampled, state: None };
        prop_assert_eq!(context.to_string().parse(), Ok(context));
    }

    #[test]
    fn whatever_is_read_is_ids_alone(text in "\\PC*") {
        if let Ok(context) = text.parse::<TraceContext>() {
            prop_assert_eq!(context.traceparent().len(), 55);
        }
    }
}
