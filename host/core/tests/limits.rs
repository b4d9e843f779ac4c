//! What hosts divide among them: rate limits and places.
#![allow(clippy::unwrap_used)]

use fusebox_core::policy::RateLimit;
use fusebox_core::share::{Claim, Share, max_min, share};
use fusebox_core::time::Wall;
use fusebox_core::window::Window;
use proptest::prelude::*;
use std::time::Duration;

const FAR: Wall = Wall(i64::MAX);

fn limit(requests: u32, ms: u64) -> RateLimit {
    RateLimit {
        requests,
        per: Duration::from_millis(ms),
    }
}

#[test]
fn the_sixth_of_five_a_second_waits_until_the_first_has_left_the_window() {
    let (mut window, now) = (Window::default(), Wall(1_000_004));
    let promised = window.reserve(limit(5, 1000), 7, now, FAR);
    assert_eq!(promised.at, [(now, 5), (Wall(1_001_010), 2)]);
    assert_eq!(promised.beyond, None);
    assert_eq!(window.promised(), [(1_000_000, 5), (1_001_010, 2)]);
}

#[test]
fn what_lies_beyond_the_latest_is_not_promised_and_takes_no_place() {
    let (mut window, now) = (Window::default(), Wall(1_000_000));
    let promised = window.reserve(limit(5, 1000), 7, now, now);
    assert_eq!(promised.at, [(now, 5)]);
    assert_eq!(promised.beyond, Some((2, Wall(1_001_010))));
    assert_eq!(window.promised(), [(1_000_000, 5)]);
}

#[test]
fn what_has_left_the_window_is_forgotten() {
    let mut window = Window::default();
    window.reserve(limit(5, 1000), 5, Wall(1_000_000), FAR);
    let promised = window.reserve(limit(5, 1000), 1, Wall(1_001_010), FAR);
    assert_eq!(promised.at, [(Wall(1_001_010), 1)]);
    assert_eq!(window.promised(), [(1_001_010, 1)]);
}

#[test]
fn shares_are_equal_but_for_who_wants_less() {
    assert_eq!(max_min(10, &[100, 100]), [5, 5]);
    assert_eq!(max_min(10, &[2, 100, 100]), [2, 4, 4]);
    assert_eq!(max_min(11, &[2, 100, 100]), [2, 5, 4]);
    assert_eq!(max_min(1, &[3, 3, 3]), [1, 0, 0]);
    assert_eq!(max_min(10, &[1, 2]), [1, 2]);
    assert_eq!(max_min(10, &[]), Vec::<u32>::new());
    assert_eq!(max_min(0, &[4]), [0]);
}

fn claim(held: u32, wanted: u32, since: i64) -> Claim {
    Claim {
        held,
        wanted,
        since: Wall(since),
    }
}

fn held_and_target(places: u32, own: usize, claims: &[Claim]) -> (u32, u32) {
    let share = share(places, own, claims);
    (share.held, share.target)
}

#[test]
fn a_host_grows_into_what_is_free_and_is_told_what_to_come_down_to() {
    let alone = [claim(0, 8, 0)];
    assert_eq!(held_and_target(10, 0, &alone), (8, 8));
    let late = [claim(8, 10, 0), claim(0, 10, 1)];
    assert_eq!(held_and_target(10, 1, &late), (2, 5));
    assert_eq!(held_and_target(10, 0, &late), (8, 5));
    let down = [claim(5, 10, 0), claim(2, 10, 1)];
    assert_eq!(held_and_target(10, 1, &down), (5, 5));
}

#[test]
fn a_place_that_cannot_be_divided_goes_to_who_has_waited_longest() {
    let claims = [claim(1, 3, 100), claim(0, 3, 300), claim(0, 3, 200)];
    let targets = [0, 1, 2].map(|own| share(1, own, &claims).target);
    assert_eq!(targets, [0, 0, 1]);
    assert_eq!(share(1, 2, &claims).held, 0, "somebody has it still");
}

proptest! {
    #[test]
    fn hosts_that_ask_in_turn_never_hold_more_than_there_is_and_come_to_what_is_fair(
        places in 1_u32..40,
        wanted in prop::collection::vec(0_u32..30, 1..6),
        turns in prop::collection::vec(0_usize..6, 0..40),
    ) {
        let mut claims: Vec<Claim> = wanted.iter().map(|_| claim(0, 0, 0)).collect();
        let mut now = 0;
        let mut ask = |claims: &mut Vec<Claim>, own: usize| {
            now += 1;
            claims[own] = claims[own].renewed(claims[own].held, wanted[own], Wall(now));
            let Share { held, target, .. } = share(places, own, claims);
            // Whoever has more than his target gives it back, once it is not in use any more.
            let held = held.min(target);
            claims[own] = claims[own].renewed(held, wanted[own], Wall(now));
        };
        for turn in turns {
            ask(&mut claims, turn % wanted.len());
            prop_assert!(claims.iter().map(|claim| claim.held).sum::<u32>() <= places);
        }
        for _ in 0..3 {
            (0..wanted.len()).for_each(|own| ask(&mut claims, own));
        }
        let all: u32 = wanted.iter().sum();
        if places >= u32::try_from(wanted.len()).unwrap() {
            let mut held: Vec<_> = claims.iter().map(|claim| claim.held).collect();
            let mut fair = max_min(places, &wanted);
            prop_assert!(held.iter().sum::<u32>() + u32::try_from(wanted.len()).unwrap() > places.min(all));
            held.sort_unstable();
            fair.sort_unstable();
            prop_assert!(held.iter().zip(&fair).all(|(held, fair)| held.abs_diff(*fair) <= 1), "{held:?} {fair:?}");
        }
    }

    #[test]
    fn no_window_starts_more_than_the_limit_and_nobody_overtakes(
        requests in 1_u32..20,
        per in prop_oneof![Just(7_u64), Just(100), Just(1000), Just(60_000)],
        asked in prop::collection::vec((0_i64..3000, 1_u32..30), 1..60),
    ) {
        let mut window = Window::default();
        let mut now = 1_000_000;
        let mut starts: Vec<i64> = Vec::new();
        for (gap, count) in asked {
            now += gap;
            let promised = window.reserve(limit(requests, per), count, Wall(now), FAR);
            prop_assert_eq!(promised.at.iter().map(|(_, count)| count).sum::<u32>(), count);
            for (at, count) in promised.at {
                prop_assert!(at.0 >= now);
                prop_assert!(starts.last().is_none_or(|last| *last <= at.0));
                starts.extend(std::iter::repeat_n(at.0, count as usize));
            }
        }
        let per = i64::try_from(per).unwrap();
        for start in starts.windows(requests as usize + 1) {
            prop_assert!(start[requests as usize] - start[0] >= per, "{:?}", start);
        }
    }

    #[test]
    fn a_limit_that_is_asked_for_all_the_time_is_used_but_for_one_part_in_a_hundred(requests in 1_u32..50) {
        let mut window = Window::default();
        let promised = window.reserve(limit(requests, 1000), requests * 20, Wall(0), FAR);
        let last = promised.at.last().unwrap().0;
        prop_assert!(last.0 <= 19 * 1010, "{:?}", last);
    }

    #[test]
    fn shares_are_max_min_fair(places in 0_u32..200, wanted in prop::collection::vec(0_u32..100, 0..12)) {
        let shares = max_min(places, &wanted);
        let all: u32 = wanted.iter().sum();
        prop_assert_eq!(shares.iter().sum::<u32>(), places.min(all));
        for (share, want) in shares.iter().zip(&wanted) {
            prop_assert!(share <= want);
            // Who wants more than he has has no less than anybody else, but for what cannot be divided.
            if share < want {
                prop_assert!(shares.iter().all(|other| *other <= share + 1));
            }
        }
    }
}
