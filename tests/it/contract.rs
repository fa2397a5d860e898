//! The contract of a store, sentence by sentence, for every backend.
//!
//! Each case is a plain function over a store; [`contract!`] stamps all of them for a backend. A
//! case that needs a second process opens a second [`Backend::open`] on the same database.

mod accounts;
mod codes;
mod insights;
mod keyring;
mod load;
pub mod logins;
mod prompts;
pub mod rights;
mod sessions;
mod steps;
mod turns;
mod usage;

use crate::cluster::cluster;
use deepme::config::{self, DatabaseUrl};
use deepme::domain::session::{EmotionSession, Labels};
use deepme::domain::step::{FinishReason, Marks, MessageId, StepStatus, StepType};
use deepme::domain::time::ManualClock;
use deepme::domain::usage::Tokens;
use deepme::domain::user::{Email, Role, User};
use deepme::domain::{SessionId, StepId, Timestamp, UserId};
use deepme::store::postgres::{Connector, PostgresStore};
use deepme::store::sqlite::SqliteStore;
use deepme::store::{BeginStep, Begun, FinishStep, Store};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// A database of its own, which can be opened more than once.
pub trait Backend {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>>;
}

/// Embedded SQLite in a directory of its own.
struct Sqlite(tempfile::TempDir);

impl Sqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Backend for Sqlite {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        let file = self.0.path().join("data/contract.db");
        Box::pin(async move {
            let store = SqliteStore::open(&file, &ManualClock::new(at(0))).unwrap();
            Arc::new(store) as Arc<dyn Store>
        })
    }
}

/// A database of its own on the PostgreSQL that the tests share.
struct Postgres(String);

impl Postgres {
    async fn new() -> Self {
        Self(cluster().database().await)
    }
}

/// What the configuration says of a database at `url`; a few connections, because many tests run at
/// once.
pub fn settings(url: &str) -> config::Database {
    config::Database {
        url: DatabaseUrl::new(url),
        connections: 4,
        answer_seconds: 20,
        ..config::Database::default()
    }
}

impl Backend for Postgres {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(async move {
            let settings = settings(&self.0);
            let connector = Connector::parse(&settings).unwrap();
            let store = PostgresStore::connect(&connector, &settings).await.unwrap();
            store.migrate(at(0)).await.unwrap();
            Arc::new(store) as Arc<dyn Store>
        })
    }
}

/// Stamps the suite for a backend: a second one is one more line.
macro_rules! contract {
    ($backend:ident, $new:expr; $($theme:ident: $($case:ident),+;)+) => {
        mod $backend {
            $(mod $theme {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        let backend = $new;
                        let _: () = crate::contract::$theme::$case(&backend).await;
                    }
                )+
            })+
        }
    };
}

/// Every case there is, by theme.
macro_rules! every_case {
    ($backend:ident, $new:expr) => {
        contract! { $backend, $new;
            load:
                an_open_store_is_alive_and_nobody_waits;
            accounts:
                the_schema_is_the_one_this_program_works_with,
                the_keys_of_the_first_who_claims_them_stand,
                an_account_is_found_as_it_was_made,
                an_address_has_one_account_whatever_its_case,
                twenty_racers_for_an_address_make_one_account,
                accounts_are_listed_newest_first_by_pages,
                a_password_is_replaced_only_by_who_knows_the_old_hash,
                of_twenty_password_changes_one_counts;
            logins:
                a_login_needs_its_account_as_it_was,
                a_login_stands_for_its_owner_until_it_is_ended,
                the_oldest_logins_make_room,
                a_refresh_token_is_good_once_and_its_return_ends_the_login,
                of_twenty_that_bring_the_same_refresh_token_all_get_one_successor,
                all_logins_of_a_person_end_together,
                after_a_password_change_the_login_that_came_with_it_holds,
                who_lost_their_tokens_is_told_newest_first,
                a_ticket_is_taken_once_and_in_time,
                of_twenty_that_bring_a_ticket_one_gets_in,
                what_has_had_its_time_is_forgotten_a_little_at_a_time;
            codes:
                an_invitation_makes_one_account,
                of_twenty_that_bring_an_invitation_one_joins,
                a_code_gives_one_new_password_in_time,
                of_twenty_that_bring_a_code_one_counts,
                a_hash_is_renewed_without_ending_a_login,
                an_admin_sets_a_password_whatever_it_was,
                an_account_is_disabled_and_enabled,
                a_role_is_changed_and_no_login_ends_by_it,
                with_an_account_goes_everything_of_its_person,
                accounts_are_filtered,
                the_keys_are_replaced_by_who_knows_them;
            sessions:
                a_session_comes_back_as_it_was_written,
                a_session_needs_its_user,
                somebody_elses_session_does_not_exist,
                sessions_are_listed_newest_first_and_pages_neither_skip_nor_repeat,
                a_session_ends_once;
            steps:
                words_come_back_to_the_byte,
                steps_count_up_without_gaps,
                a_reserved_session_is_made_by_its_first_words,
                a_session_of_somebody_else_takes_no_words,
                an_ended_session_takes_no_words_but_knows_its_messages,
                a_repeated_message_gives_its_step_and_writes_nothing,
                message_ids_belong_to_their_session,
                a_step_is_found_by_its_owner_only,
                what_was_made_of_words_comes_back_and_its_owner_corrects_it,
                steps_are_listed_by_order_and_pages,
                a_briefing_is_the_newest_exchanges_before_the_step_oldest_first,
                text_with_nul_is_refused_and_nothing_of_it_is_kept;
            turns:
                of_twenty_that_begin_at_once_one_starts,
                of_twenty_with_one_message_id_one_starts_and_the_rest_find_it,
                twenty_sessions_at_once_do_not_hinder_each_other,
                of_twenty_that_make_the_same_reserved_session_one_starts,
                a_checkpoint_counts_only_while_pending,
                a_step_is_finished_once,
                who_ran_a_turn_knows_its_end_better_than_who_took_it_for_dead,
                of_twenty_that_finish_one_counts,
                every_end_is_kept_as_it_was,
                a_step_is_forgotten_only_while_it_is_pending,
                a_step_that_somebody_knows_of_is_not_forgotten,
                orphans_are_closed_by_their_lease_and_keep_what_they_have,
                a_second_process_sees_what_is_committed,
                two_processes_count_steps_together,
                what_is_written_is_there_after_a_reopening;
            usage:
                what_turns_cost_adds_up_by_person_and_day,
                a_turn_is_charged_once_however_often_it_ends,
                of_twenty_that_charge_at_once_none_is_lost,
                what_was_used_long_ago_is_forgotten,
                who_has_used_up_the_day_begins_nothing,
                a_summary_stands_for_the_oldest_steps_and_is_replaced_by_who_saw_it,
                of_twenty_that_fold_the_same_steps_one_counts;
            keyring:
                a_person_has_one_data_key_whoever_is_first,
                a_data_key_needs_its_person,
                a_data_key_is_wrapped_again_only_by_who_knows_how_it_is,
                data_keys_are_listed_by_person_besides_those_of_a_master,
                the_master_of_the_first_who_claims_it_stands_until_it_is_replaced;
            rights:
                who_read_is_listed_newest_first_by_pages,
                accesses_are_forgotten_by_their_time_a_little_at_a_time,
                a_session_has_an_owner,
                what_was_used_is_listed_by_day,
                an_account_goes_whole_and_how_much_it_was_is_told,
                a_beat_is_later_than_all_before,
                steps_of_a_person_go_a_part_at_a_time,
                everybody_begins_anew,
                words_are_forgotten_by_when_the_last_one_was_said,
                sessions_are_forgotten_by_when_the_last_word_was_said;
            insights:
                what_was_made_of_a_session_is_listed_by_order_newest_kept,
                what_was_made_of_sessions_is_listed_by_when_they_began,
                a_card_takes_the_place_of_the_one_before_and_fills_what_nobody_set,
                quotes_are_forgotten_with_the_words_and_a_card_with_its_session;
            prompts:
                versions_count_up_and_the_newest_counts,
                racers_get_versions_of_their_own,
                a_persons_prompt_is_theirs_and_can_be_forgotten,
                a_personal_prompt_needs_its_person,
                the_newest_versions_of_a_personal_prompt_are_kept,
                turns_are_tallied_by_the_prompt_that_was_told;
        }
    };
}

every_case!(sqlite, crate::contract::Sqlite::new());
every_case!(postgres, crate::contract::Postgres::new().await);

/// 2026-11-23T06:46:14.000001Z and some seconds: no whole number of milliseconds.
pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_795_416_374_000_001).plus(Duration::from_secs(seconds))
}

pub fn user(n: u128) -> User {
    User {
        user_id: UserId(Uuid::from_u128(n)),
        name: format!("사람 {n} 👩‍👩‍👧"),
        email: Email::parse(&format!("person{n}@example.com")).unwrap(),
        role: Role::User,
        token_epoch: 0,
        disabled_at: None,
        created_at: at(0),
    }
}

/// An account; what most cases begin with.
pub async fn person(store: &dyn Store, n: u128) -> UserId {
    let user = user(n);
    let user_id = user.user_id;
    store.add_user(user, format!("hash {n}")).await.unwrap();
    user_id
}

pub fn session_of(user_id: UserId, n: u128) -> EmotionSession {
    EmotionSession {
        session_id: SessionId(Uuid::from_u128(n)),
        user_id,
        labels: Labels::default(),
        started_at: at(0),
        ended_at: None,
    }
}

/// A session of somebody new.
pub async fn talk(store: &dyn Store, n: u128) -> (UserId, SessionId) {
    let user_id = person(store, n).await;
    let session = session_of(user_id, n);
    let session_id = session.session_id;
    store.add_session(session).await.unwrap();
    (user_id, session_id)
}

/// Words that nobody has said yet.
pub fn words(user_id: UserId, session_id: SessionId, text: &str) -> BeginStep {
    BeginStep {
        step_id: StepId(Uuid::new_v4()),
        session_id,
        user_id,
        new_session: false,
        step_type: StepType::default(),
        user_input: text.to_owned(),
        message_id: None,
        marks: Marks::default(),
        at: at(1),
        lease_until: at(60),
        quota: None,
    }
}

pub fn message(id: &str) -> MessageId {
    MessageId::parse(id).unwrap()
}

pub fn finished(step_id: StepId, text: &str) -> FinishStep {
    FinishStep {
        step_id,
        gpt_response: text.to_owned(),
        status: StepStatus::Complete,
        finish_reason: Some(FinishReason::Stop),
        model: Some("m".to_owned()),
        prompt_version: Some("ko@0".to_owned()),
        output_tokens: Some(7),
        safety_tier: None,
        charge: Tokens::default(),
        at: at(2),
    }
}

/// A whole turn; its step.
pub async fn turn(
    store: &dyn Store,
    user_id: UserId,
    session_id: SessionId,
    text: &str,
    answer: &str,
) -> (StepId, i64) {
    let begin = words(user_id, session_id, text);
    let step_id = begin.step_id;
    let begun = store.begin_step(begin).await.unwrap();
    let Begun::Started { step_order } = begun else {
        panic!("{begun:?}")
    };
    let done = store.finish_step(finished(step_id, answer)).await.unwrap();
    assert!(done.is_some());
    (step_id, step_order)
}
