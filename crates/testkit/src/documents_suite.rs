//! What every [`Documents`] promises, checked against each store.
#![allow(clippy::expect_used, reason = "a failed expectation is what the suite is for")]

use pelton_core::{Document, Documents, LARGEST_DOCUMENT, StoreError};

async fn list(store: &dyn Documents, kind: &str) -> Vec<(String, u64, String)> {
    let documents = store.documents(kind).await.expect("documents can be listed");
    documents.into_iter().map(|it| (it.key, it.revision, it.text)).collect()
}

async fn put(store: &dyn Documents, kind: &str, key: &str, text: &str, replaces: u64) -> bool {
    store.put_document(kind, key, text, replaces).await.expect("a document can be written")
}

/// Runs the suite, with kinds that no other test has.
pub async fn documents_suite(store: &dyn Documents) {
    let kind = format!("kind-{:032x}", fastrand::u128(..));
    a_document_is_written_read_replaced_and_deleted(store, &kind).await;
    only_one_of_two_replaces_a_revision(store, &format!("{kind}-race")).await;
    kinds_are_kept_apart_and_listed_by_key(store, &format!("{kind}-list")).await;
    what_is_too_long_is_refused(store, &kind).await;
}

async fn a_document_is_written_read_replaced_and_deleted(store: &dyn Documents, kind: &str) {
    assert_eq!(store.document(kind, "a").await, Ok(None));
    assert!(put(store, kind, "a", r#"{"é":"\u0000 ☃"}"#, 0).await);
    let document = Document { key: "a".into(), revision: 1, text: r#"{"é":"\u0000 ☃"}"#.into() };
    assert_eq!(store.document(kind, "a").await, Ok(Some(document)));
    assert!(!put(store, kind, "a", "made twice", 0).await, "it is there already");
    assert!(!put(store, kind, "a", "of a revision to come", 2).await);
    assert!(put(store, kind, "a", "second", 1).await);
    assert!(!put(store, kind, "a", "late", 1).await, "revision 1 was replaced");
    assert_eq!(list(store, kind).await, [("a".into(), 2, "second".into())]);
    assert!(!put(store, kind, "b", "replaces nothing", 1).await);
    assert_eq!(store.document(kind, "b").await, Ok(None));
    store.delete_document(kind, "a").await.expect("a document can be deleted");
    store.delete_document(kind, "a").await.expect("one that isn't there is no error");
    assert_eq!(list(store, kind).await, []);
    assert!(put(store, kind, "a", "anew", 0).await, "and can be made again");
    assert_eq!(store.document(kind, "a").await.map(|it| it.map(|it| it.revision)), Ok(Some(1)));
}

async fn only_one_of_two_replaces_a_revision(store: &dyn Documents, kind: &str) {
    for replaces in 0..3 {
        let one = store.put_document(kind, "a", "one", replaces);
        let (one, other) = tokio::join!(one, store.put_document(kind, "a", "other", replaces));
        let (one, other) = (one.expect("it answers"), other.expect("it answers"));
        assert!(one != other, "just one wins");
        let expected = if one { "one" } else { "other" };
        assert_eq!(list(store, kind).await, [("a".into(), replaces + 1, expected.into())]);
    }
}

async fn kinds_are_kept_apart_and_listed_by_key(store: &dyn Documents, kind: &str) {
    let other = format!("{kind}-more");
    for key in ["c", "a", "b:1"] {
        assert!(put(store, kind, key, key, 0).await);
    }
    assert!(put(store, &other, "a", "of the other kind", 0).await);
    let keys: Vec<_> = list(store, kind).await.into_iter().map(|(key, ..)| key).collect();
    assert_eq!(keys, ["a", "b:1", "c"]);
    store.delete_document(kind, "a").await.expect("a document can be deleted");
    assert_eq!(list(store, &other).await, [("a".into(), 1, "of the other kind".into())]);
}

async fn what_is_too_long_is_refused(store: &dyn Documents, kind: &str) {
    let longest = "x".repeat(LARGEST_DOCUMENT);
    assert!(put(store, kind, "long", &longest, 0).await);
    let refused = store.put_document(kind, "longer", &format!("{longest}x"), 0).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
}
