//! The contract that every store is held to: one suite, run by each adapter with [`store_contract!`](crate::store_contract).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

pub mod alike;
pub mod approvals;
pub mod audit;
pub mod claims;
pub mod doubt;
pub mod fences;
pub mod journals;
pub mod keys;
pub mod letters;
pub mod logs;
pub mod pages;
pub mod rest;
pub mod retention;
pub mod samples;
pub mod tenants;
pub mod tools;
pub mod trees;

use crate::ports::store::Store;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// A store under test, and a way to let time pass for it.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The store, empty at first.
    fn store(&self) -> Arc<dyn Store>;
    /// Lets every lease, lifetime and age in the store grow older, without waiting.
    async fn pass(&self, time: Duration);
    /// Gives the samples the days that they belong to, where the store keeps runs by their days and has let go of these.
    async fn keep_days(&self) {}
}

/// Makes a test of every clause; `$subject` is the path of an `async fn() -> impl Subject`.
#[macro_export]
macro_rules! store_contract {
    ($subject:path) => {
        $crate::store_contract! { $subject;
            claims: a_fresh_run_is_running,
                case_31_of_many_racers_one_executes,
                case_32_the_same_key_with_another_payload_conflicts_in_flight_and_after,
                case_40_the_lifetime_of_a_result_starts_at_its_end,
                case_42_two_tenants_with_one_key_are_apart,
                case_61_a_key_belongs_to_its_run_until_the_letter_is_closed,
                a_key_that_is_not_kept_is_free_at_once,
                a_joined_run_whose_lease_ended_is_not_alive,
                calls_without_a_key_never_meet,
                a_run_id_is_used_once;
            fences: case_36_a_lease_that_ended_takes_no_commit,
                case_37_after_a_takeover_only_the_rescuer_may_finish,
                case_38_attempts_are_counted_on_over_every_crash,
                another_owner_or_epoch_is_fenced,
                a_renewed_lease_lasts_longer,
                a_run_ends_once,
                a_refused_finish_changes_nothing,
                recorded_runs_are_all_there_or_none;
            letters: a_finish_enqueues_updates_and_closes_the_letter,
                a_finish_without_a_change_gives_a_leased_letter_back,
                case_43_of_many_replayers_one_gets_the_letter,
                case_44_a_letter_whose_replayer_died_is_open_again,
                a_released_letter_is_as_before,
                letters_that_are_closed_or_in_doubt_are_not_leased,
                letters_are_listed_oldest_first_and_by_filter,
                runs_are_listed_newest_first_and_by_filter;
            journals: what_is_appended_is_there_by_number,
                case_36_an_append_after_the_lease_fails_alone,
                a_run_goes_on_from_its_resume_point,
                a_success_leaves_no_journal,
                a_failed_run_keeps_its_journal_for_seven_days,
                a_run_whose_key_another_has_is_not_resumed,
                a_letter_keeps_the_journal_until_it_is_closed,
                a_purged_letter_takes_the_journal_with_it,
                state_is_written_with_the_effect_that_it_belongs_to,
                keys_are_listed_a_thousand_at_most,
                case_42_journals_of_two_tenants_are_apart;
            trees: nested_runs_are_owned_through_their_root,
                case_36_who_lost_the_root_writes_to_none_of_its_tree,
                a_child_that_is_not_over_is_joined_and_one_that_is_has_its_outcome,
                the_end_of_a_root_is_the_end_of_its_tree;
            rest: case_70_an_accepted_run_is_taken_once,
                tenants_take_turns_and_so_do_the_tools_of_each,
                a_sleeper_wakes_when_its_time_has_come,
                a_run_that_is_handed_over_is_taken_at_once,
                case_38_attempts_and_recoveries_are_counted_apart_over_every_crash,
                case_37_who_comes_back_after_a_takeover_writes_nothing,
                the_oldest_are_taken_first,
                a_root_is_taken_by_name_unless_somebody_has_it,
                case_44_a_replay_that_slept_and_lost_its_host_leaves_the_letter_open,
                case_26_cancelling_a_run_that_rests_ends_it,
                a_wish_to_cancel_waits_for_who_holds_the_run_or_takes_it,
                cancelling_a_replay_that_sleeps_opens_its_letter;
            approvals: a_suspended_run_waits_for_its_answer_alone,
                a_question_is_asked_by_the_owner_alone_and_once,
                an_approval_is_used_up_by_the_call_that_it_allows,
                case_51_an_approval_that_expired_starts_nothing,
                a_question_that_nobody_answered_in_time_has_expired,
                case_52_two_pending_approvals_do_not_swap,
                case_61_a_suspended_run_keeps_its_key,
                case_74_declined_and_asked_again_with_the_same_key_stays_declined,
                questions_are_listed_oldest_first_and_by_root,
                cancelling_a_suspended_run_withdraws_its_question;
            doubt: a_letter_goes_on_once_nothing_is_in_doubt,
                a_call_is_not_in_doubt_by_itself,
                what_is_not_in_doubt_is_not_resolved,
                a_person_can_close_a_letter_with_an_outcome,
                a_pinned_letter_is_neither_purged_nor_forgotten,
                what_would_expire_is_listed_by_kind,
                letters_wait_for_their_service_fewest_replayed_first,
                bulk_replays_are_kept_with_how_far_they_are,
                a_bulk_replay_is_carried_out_by_one_at_a_time;
            retention: purge_closes_open_letters_alone,
                a_letter_whose_replay_left_a_request_open_is_not_put_away,
                a_request_left_open_below_keeps_the_letter_too,
                a_closed_letter_ends_its_run,
                pages_are_kept_once_and_as_long_as_a_letter_needs_them,
                pages_without_a_letter_go_after_a_day,
                retain_closes_letters_whose_time_is_over,
                retain_forgets_runs_that_nothing_needs;
            tools: deploys_are_numbered_and_the_same_one_adds_nothing,
                a_disabled_tool_stays_so_until_it_is_enabled,
                a_removed_tool_is_forgotten_with_what_only_it_used,
                a_component_under_another_digest_is_refused;
            logs: a_breaker_is_swapped_by_its_epoch,
                of_many_hosts_one_swaps_a_breaker,
                errors_are_listed_newest_first_and_by_tool,
                the_error_log_is_bounded_for_each_tenant;
            alike: a_run_that_waits_is_joined_by_a_like_call,
                what_differs_in_anything_is_not_alike,
                a_run_that_lost_its_caller_is_joined_for_a_while,
                a_run_that_is_over_loses_no_caller_and_one_that_failed_is_called_anew,
                tenants_are_listed_that_have_something;
            keys: a_key_is_found_by_its_id_whatever_its_tenant,
                the_id_of_a_key_is_used_once,
                a_key_is_revoked_once_and_by_its_tenant;
            audit: every_entry_follows_the_one_before,
                of_many_writers_none_writes_over_another,
                entries_are_listed_newest_first_and_by_filter;
            pages: runs_go_on_behind_the_last_one,
                a_page_goes_on_behind_a_row_that_is_gone,
                letters_and_questions_go_on_behind_the_last_one;
            tenants: tenants_do_not_see_each_other,
                tenants_do_not_change_each_other,
                what_waits_is_counted_for_all_tenants_together;
        }
    };
    ($subject:path; $($module:ident: $($clause:ident),+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $clause() {
                $crate::testing::store_contract::$module::$clause(&$subject().await).await;
            }
        )+)+
    };
}
