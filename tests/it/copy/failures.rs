//! A copy under way: what it sees, and what it leaves when it fails.

use super::{Place, copied, lived_in};
use crate::contract::person;
use deepme::domain::user::UserFilter;
use deepme::domain::{Error, ErrorCode, Result};
use deepme::store::copy::tables::{TABLES, Table};
use deepme::store::copy::{Copied, Failure, Left, Progress, Row, Source, copy};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A source that does something before its `turn`th page.
struct Watched<'a, F> {
    inner: Box<dyn Source>,
    pages: usize,
    before: &'a F,
}

impl<F> Source for Watched<'_, F>
where
    F: Fn(usize) -> BoxFuture<'static, Result<()>> + Sync,
{
    fn count(&mut self, table: &'static Table) -> BoxFuture<'_, Result<u64>> {
        self.inner.count(table)
    }

    fn page(
        &mut self,
        table: &'static Table,
        after: Option<Row>,
    ) -> BoxFuture<'_, Result<Vec<Row>>> {
        self.pages += 1;
        let before = (self.before)(self.pages);
        Box::pin(async move {
            before.await?;
            self.inner.page(table, after).await
        })
    }
}

async fn copied_with<F>(from: &Place, to: &Place, before: &F) -> Result<Vec<Copied>, Failure>
where
    F: Fn(usize) -> BoxFuture<'static, Result<()>> + Sync,
{
    let inner = from.source().await;
    let mut source = Watched {
        inner,
        pages: 0,
        before,
    };
    let sink = to.sink().await.unwrap();
    copy(&mut source, sink, &CancellationToken::new(), &|_| ()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_is_read_as_it_was_at_one_moment() {
    for from in Place::both().await {
        let store = from.store();
        person(&*store, 1).await;
        let to = Place::file();
        let writing = |page| -> BoxFuture<'static, Result<()>> {
            let store = Arc::clone(&store);
            Box::pin(async move {
                // The first page is that of a table before users.
                if page <= 2 {
                    person(&*store, 10 + page as u128).await;
                }
                Ok(())
            })
        };
        let report = copied_with(&from, &to, &writing).await.unwrap();
        // A snapshot begins with its first statement, which is the first count.
        let users = report.iter().find(|c| c.table == "users").unwrap();
        assert_eq!(users.rows, 1);
        assert_eq!(
            store
                .users(UserFilter::default(), None, 9)
                .await
                .unwrap()
                .len(),
            3,
            "they were written"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_fails_or_is_interrupted_leaves_nothing() {
    let from = Place::file();
    lived_in(&*from.store()).await;
    for to in Place::both().await {
        // In the middle of the sessions, of which a page is there already.
        let failing = |page| -> BoxFuture<'static, Result<()>> {
            Box::pin(async move {
                if page == 4 {
                    Err(Error::unavailable("gone"))
                } else {
                    Ok(())
                }
            })
        };
        let failure = copied_with(&from, &to, &failing).await.unwrap_err();
        assert_eq!(
            (failure.left, failure.error.code()),
            (Left::Nothing, ErrorCode::Unavailable)
        );

        let stop = CancellationToken::new();
        let tell = |progress: Progress| {
            if progress.table == "steps" {
                stop.cancel();
            }
        };
        let (mut source, sink) = (from.source().await, to.sink().await.unwrap());
        let failure = copy(&mut *source, sink, &stop, &tell).await.unwrap_err();
        assert_eq!(
            (failure.left, failure.error.code()),
            (Left::Nothing, ErrorCode::Interrupted)
        );

        assert!(to.is_empty().await);
        // It can be tried again at once.
        let report = copied(&from, &to).await;
        assert_eq!(report.len(), TABLES.len());
        let refused = to.sink().await.err().unwrap();
        assert_eq!(refused.code(), ErrorCode::Config);
        assert!(refused.message().contains("not empty"), "{refused}");
    }
}

/// A target that keeps something else than it was given is found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_back_is_compared() {
    let from = Place::file();
    person(&*from.store(), 1).await;
    for to in Place::both().await {
        to.execute(
            "CREATE TRIGGER wrong AFTER INSERT ON users BEGIN UPDATE users SET name = name || ' '; END",
            "CREATE FUNCTION wrong() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN NEW.name := NEW.name || ' '; RETURN NEW; END $$;
             CREATE TRIGGER wrong BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION wrong()",
        )
        .await;
        fails(&from, &to, Left::Unverified, "users").await;
    }
}

/// A copy that fails, leaves this much and names what it was about.
async fn fails(from: &Place, to: &Place, left: Left, names: &str) -> Error {
    let (mut source, sink) = (from.source().await, to.sink().await.unwrap());
    let failure = copy(&mut *source, sink, &CancellationToken::new(), &|_| ())
        .await
        .unwrap_err();
    assert_eq!(failure.left, left);
    let error = failure.error;
    assert!(error.message().contains(names), "{error}");
    error
}

/// An earlier version stored it; PostgreSQL cannot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_that_the_target_cannot_store_is_named_by_its_column() {
    let [from, to] = Place::both().await;
    person(&*from.store(), 1).await;
    from.execute("UPDATE users SET name = 'a' || char(0) || 'canary'", "")
        .await;
    let error = fails(&from, &to, Left::Nothing, "users.name").await;
    assert!(!format!("{error:?}").contains("canary"));
    assert!(to.is_empty().await);
}

/// A commit that the database refuses has left nothing, and that is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_refused_leaves_nothing() {
    let [from, to] = Place::both().await;
    person(&*from.store(), 1).await;
    to.execute(
        "",
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
         CREATE CONSTRAINT TRIGGER no AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION no()",
    )
    .await;
    let (mut source, sink) = (from.source().await, to.sink().await.unwrap());
    let failure = copy(&mut *source, sink, &CancellationToken::new(), &|_| ())
        .await
        .unwrap_err();
    assert_eq!(failure.left, Left::Nothing);
    assert!(to.is_empty().await);
}
