//! `traceparent` headers: read to the letter, written so that they are read again.
#![allow(clippy::unwrap_used)]

use fusebox_core::trace::TraceContext;
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

proptest! {
    #[test]
    fn what_is_written_is_read_again(trace in 1_u128.., span in 1_u64.., sampled: bool) {
        let context = TraceContext { trace, span, sampled };
        prop_assert_eq!(context.to_string().parse(), Ok(context));
    }

    #[test]
    fn whatever_is_read_is_ids_alone(text in "\\PC*") {
        if let Ok(context) = text.parse::<TraceContext>() {
            prop_assert_eq!(context.to_string().len(), 55);
        }
    }
}
