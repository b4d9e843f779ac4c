//! Components and pages outside of the database: what is in which place, and what is left when something fails in between.

use crate::bucket::Bucket;
use crate::subjects::{self, blobs};
use fusebox_engine::ports::store::{ORPHAN_AFTER, Store, StoreError, ToolChange};
use fusebox_engine::testing::store_contract::Subject;
use fusebox_engine::testing::store_contract::samples::{TENANT, letter_id, page, put_letter, snapshot, tool};
use fusebox_store::{Place, PostgresStore, SqliteStore, StoreOptions, migrate};
use fusebox_test_postgres::{Database, Server};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn reason<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Unavailable { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// A deployed tool, and a letter with two pages.
async fn fill(store: &dyn Store) {
    let (record, bytes) = tool("search", "m", "c1");
    store.deploy(record, bytes).await.unwrap();
    store.put_pages(TENANT, &[page(1), page(2)]).await.unwrap();
    put_letter(store, 1, |letter| letter.snapshot = Some(snapshot(&[page(1), page(2)]))).await;
}

/// What a page is, read back.
async fn paged(store: &dyn Store, number: u8) -> Vec<u8> {
    store.page(TENANT, page(number).digest).await.unwrap().unwrap().to_vec()
}

/// The kinds of the objects, in order.
async fn kinds(bucket: &Bucket) -> Vec<String> {
    let kind = |at: Path| at.parts().nth(3).unwrap().as_ref().to_owned();
    bucket.all().await.into_iter().map(kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_lie_under_tenant_kind_and_digest_and_rows_have_nothing_of_them() {
    let subject = subjects::sqlite_with_objects().await;
    let store = subject.store();
    fill(&*store).await;
    let (record, component) = tool("search", "m", "c1");
    let all = subject.bucket.all().await;
    let digest = record.component.to_string();
    let hex = digest.strip_prefix("sha256:").unwrap();
    let parts: Vec<_> = all[0].parts().map(|part| part.as_ref().to_owned()).collect();
    assert_eq!(
        (parts[0].as_str(), &parts[2..5]),
        ("test", &[TENANT, "components", hex].map(str::to_owned)[..])
    );
    assert_eq!(kinds(&subject.bucket).await, ["components", "pages", "pages"]);
    assert_eq!(subject.bucket.read(&all[0]).await, component);
    let mut raw = subject.inner.raw().await;
    let inline: i64 =
        sqlx::query_scalar("SELECT (SELECT SUM(LENGTH(wasm)) FROM components) + (SELECT SUM(LENGTH(zstd)) FROM pages)")
            .fetch_one(&mut raw)
            .await
            .unwrap();
    assert_eq!(inline, 0);
    assert_eq!(
        store.component(TENANT, record.component).await.unwrap(),
        Some(component)
    );
    assert_eq!(paged(&*store, 2).await, page(2).zstd);
    assert_eq!(store.component("other", record.component).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_takes_its_objects_along() {
    for subject in [
        subjects::sqlite_with_objects().await.any(),
        subjects::postgres_with_objects().await.any(),
    ] {
        let store = subject.store();
        fill(&*store).await;
        // Put again, they are kept once.
        fill_pages_again(&*store).await;
        assert_eq!(subject.bucket().all().await.len(), 3);
        subject.pass(Duration::from_secs(3600)).await;
        assert_eq!(store.purge(TENANT, &[letter_id(1)]).await.unwrap(), [letter_id(1)]);
        assert_eq!(kinds(subject.bucket()).await, ["components"]);
        assert!(store.change_tool(TENANT, "search", ToolChange::Remove).await.unwrap());
        assert_eq!(kinds(subject.bucket()).await, Vec::<String>::new());
    }
}

async fn fill_pages_again(store: &dyn Store) {
    store.put_pages(TENANT, &[page(1), page(2)]).await.unwrap();
    let (record, bytes) = tool("search", "m", "c1");
    assert!(!store.deploy(record, bytes).await.unwrap().1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_put_one_page_one_object_is_kept() {
    for subject in [
        subjects::sqlite_with_objects().await.any(),
        subjects::postgres_with_objects().await.any(),
    ] {
        let store = subject.store();
        let put = |_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                store.put_pages(TENANT, &[page(1)]).await.unwrap();
                let (record, bytes) = tool("search", "m", "c1");
                store.deploy(record, bytes).await.unwrap();
            })
        };
        for putting in (0..16).map(put).collect::<Vec<_>>() {
            putting.await.unwrap();
        }
        assert_eq!(kinds(subject.bucket()).await, ["components", "pages"]);
        assert_eq!(paged(&*store, 1).await, page(1).zstd);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_without_the_place_fails_and_leaves_nothing() {
    let subject = subjects::sqlite_with_objects().await;
    let store = subject.store();
    subject.bucket.down(true);
    let (record, bytes) = tool("search", "m", "c1");
    let failed = reason(store.deploy(record.clone(), bytes.clone()).await);
    assert!(
        failed.contains("a bucket of the test") && failed.contains("has it down") && failed.contains("`blobs`"),
        "{failed}"
    );
    assert_eq!(store.tools(TENANT).await.unwrap(), []);
    assert!(reason(store.put_pages(TENANT, &[page(1)]).await).contains("has it down"));
    subject.bucket.down(false);
    assert_eq!(store.page(TENANT, page(1).digest).await.unwrap(), None);
    assert_eq!(
        store.deploy(record, bytes).await.unwrap().0.number,
        1,
        "no number was used up"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_without_a_row_is_swept_up_after_a_day() {
    for subject in [
        subjects::sqlite_with_objects().await.any(),
        subjects::postgres_with_objects().await.any(),
    ] {
        let store = subject.store();
        fill(&*store).await;
        let named = subject.bucket().all().await;
        // As who died between putting it and writing the row.
        let orphans: Vec<Path> = named.iter().map(|at| Path::from(format!("{at}0"))).collect();
        for (from, to) in named.iter().zip(&orphans) {
            subject.bucket().objects().copy(from, to).await.unwrap();
        }
        let unread: Path = Path::from(format!("{}/whatever", named[0].parent().unwrap()));
        let foreign: Path = Path::from(format!("test/{TENANT}/pages/x"));
        for at in [&unread, &foreign] {
            subject.bucket().objects().put(at, "x".into()).await.unwrap();
        }
        let keep = 30 * DAY;
        subject.pass(ORPHAN_AFTER - Duration::from_secs(60)).await;
        store.retain(TENANT, keep).await.unwrap();
        assert_eq!(subject.bucket().all().await.len(), 8, "each may still get its row");
        subject.bucket().down(true);
        subject.pass(Duration::from_secs(120)).await;
        store.retain(TENANT, keep).await.unwrap();
        subject.bucket().down(false);
        store.retain("other", keep).await.unwrap();
        assert_eq!(subject.bucket().all().await.len(), 8);
        store.retain(TENANT, keep).await.unwrap();
        let mut left = named.clone();
        left.push(foreign);
        left.sort();
        assert_eq!(subject.bucket().all().await, left);
        assert_eq!(paged(&*store, 1).await, page(1).zstd);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_removed_is_swept_up_later() {
    let subject = subjects::sqlite_with_objects().await;
    let store = subject.store();
    fill(&*store).await;
    subject.pass(Duration::from_secs(3600)).await;
    subject.bucket.down(true);
    assert_eq!(store.purge(TENANT, &[letter_id(1)]).await.unwrap(), [letter_id(1)]);
    subject.bucket.down(false);
    assert_eq!(subject.bucket.all().await.len(), 3);
    subject.pass(DAY).await;
    store.retain(TENANT, 30 * DAY).await.unwrap();
    assert_eq!(kinds(&subject.bucket).await, ["components"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_missing_or_was_changed_is_told() {
    let subject = subjects::sqlite_with_objects().await;
    let store = subject.store();
    fill(&*store).await;
    let (record, _) = tool("search", "m", "c1");
    let all = subject.bucket.all().await;
    subject.bucket.objects().put(&all[0], "c2".into()).await.unwrap();
    let changed = reason(store.component(TENANT, record.component).await);
    assert!(
        changed.contains("is not what was put there") && changed.contains(all[0].as_ref()),
        "{changed}"
    );
    subject.bucket.objects().delete(&all[0]).await.unwrap();
    let missing = reason(store.component(TENANT, record.component).await);
    assert!(
        missing.contains("is missing") && missing.contains("backup"),
        "{missing}"
    );
    subject.bucket.down(true);
    assert!(reason(store.page(TENANT, page(1).digest).await).contains("has it down"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_database_stays_there_when_a_place_is_set_and_the_other_way_round() {
    let bucket = Arc::new(Bucket::default());
    let inside = subjects::sqlite().await;
    fill(&*inside.store()).await;
    let outside = StoreOptions {
        blobs: Some(blobs(&bucket)),
        ..StoreOptions::default()
    };
    let store = SqliteStore::open_with(inside.path(), outside).await.unwrap();
    let (record, component) = tool("search", "m", "c1");
    assert_eq!(
        store.component(TENANT, record.component).await.unwrap(),
        Some(component)
    );
    assert_eq!(paged(&store, 1).await, page(1).zstd);
    store.put_pages(TENANT, &[page(1), page(3)]).await.unwrap();
    assert_eq!(kinds(&bucket).await, ["pages"], "one of them was there");

    let unset = inside.store();
    assert_eq!(paged(&*unset, 1).await, page(1).zstd);
    let unknown = reason(unset.page(TENANT, page(3).digest).await);
    assert!(
        unknown.contains("kept outside of the database") && unknown.contains("`blobs.store`"),
        "{unknown}"
    );
    unset.put_pages(TENANT, &[page(3)]).await.unwrap();
    assert_eq!(paged(&store, 3).await, page(3).zstd, "it is where it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_sealed_and_components_are_as_they_were_deployed() {
    let bucket = Arc::new(Bucket::default());
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        key: Some([7; 32]),
        blobs: Some(blobs(&bucket)),
    };
    let store = SqliteStore::open_with(&folder.path().join("f.db"), options)
        .await
        .unwrap();
    fill(&store).await;
    let all = bucket.all().await;
    let (record, component) = tool("search", "m", "c1");
    assert_eq!(bucket.read(&all[0]).await, component);
    for at in &all[1..] {
        let stored = bucket.read(at).await;
        for plain in [page(1).zstd, page(2).zstd] {
            assert!(!stored.windows(plain.len()).any(|part| part == plain), "{at}");
        }
    }
    assert_eq!(paged(&store, 1).await, page(1).zstd);
    assert_eq!(
        store.component(TENANT, record.component).await.unwrap(),
        Some(component)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_database_has_objects_of_its_own() {
    let subject = subjects::sqlite_with_objects().await;
    fill(&*subject.store()).await;
    subject.pass(DAY).await;
    let database = Database::empty(Arc::new(Server::shared())).await;
    let (first, second) = (
        Place::File(subject.inner.path().to_owned()),
        Place::Postgres(database.url()),
    );
    let nowhere = migrate(&first, &second, StoreOptions::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(nowhere.contains("`blobs.store`"), "{nowhere}");
    let options = StoreOptions {
        blobs: Some(blobs(&subject.bucket)),
        ..StoreOptions::default()
    };
    let copied = migrate(&first, &second, options.clone()).await.unwrap();
    assert_eq!((copied.objects, subject.bucket.all().await.len()), (3, 6));
    // What goes in one is there in the other.
    subject.store().purge(TENANT, &[letter_id(1)]).await.unwrap();
    let store = PostgresStore::open_with(&database.url(), options).await.unwrap();
    assert_eq!(paged(&store, 1).await, page(1).zstd);
    store.retain(TENANT, 30 * DAY).await.unwrap();
    let (record, component) = tool("search", "m", "c1");
    assert_eq!(
        store.component(TENANT, record.component).await.unwrap(),
        Some(component)
    );
}

#[tokio::test]
async fn a_place_is_tried_out_and_left_as_it_was() {
    let bucket = Arc::new(Bucket::default());
    blobs(&bucket).check().await.unwrap();
    assert_eq!((bucket.all().await.len(), bucket.reads()), (0, 1));
    bucket.down(true);
    assert!(reason(blobs(&bucket).check().await).contains("a bucket of the test"));
}
