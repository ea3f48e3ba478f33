//! What is DynamoDB's own: the table, several replicas, and writes that stop half way.
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use pelton_core::{OwnerId, Position, Store, StoreError, StreamId};
use pelton_store::DynamoDbStore;
use pelton_testkit::fault_proxy::{FaultProxy, Kind, Rule};
use tokio::task::JoinSet;

use crate::support::{
    LEASE, add, after, checkpoints, client, dynamodb, lost, new_stream, new_table, partition, shard, take, with_windows,
};

fn store(table: &str) -> DynamoDbStore {
    DynamoDbStore::new(dynamodb(), table.to_owned(), LEASE)
}

async fn delete(table: &str) {
    dynamodb().delete_table().table_name(table).send().await.unwrap();
}

/// The keys of all rows, but for that of the version.
async fn rows(table: &str) -> Vec<String> {
    let (mut rows, mut start) = (Vec::new(), None);
    loop {
        let scan = dynamodb().scan().table_name(table).consistent_read(true).set_exclusive_start_key(start);
        let page = scan.send().await.unwrap();
        let keys = page.items.unwrap_or_default().into_iter();
        rows.extend(keys.map(|row| format!("{} {}", row["Scope"].as_s().unwrap(), row["Row"].as_s().unwrap())));
        start = page.last_evaluated_key;
        if start.is_none() {
            rows.retain(|row| row != "store version");
            return rows;
        }
    }
}

#[tokio::test]
async fn replicas_that_start_at_once_create_one_table() {
    let (table, me) = (new_table(), OwnerId("me".into()));
    let mapping = new_stream().mapping;
    let mut replicas = JoinSet::new();
    for _ in 0..4 {
        let (store, me) = (store(&table), me.clone());
        replicas.spawn(async move { store.heartbeat(mapping, &me).await });
    }
    assert_eq!(replicas.join_all().await, vec![Ok(()); 4]);
    assert_eq!(store(&table).members(mapping).await, Ok(vec![(me, 4)]));
    let made = dynamodb().describe_table().table_name(&table).send().await.unwrap().table.unwrap();
    assert_eq!(made.billing_mode_summary.unwrap().billing_mode, Some(BillingMode::PayPerRequest));
    delete(&table).await;
}

#[tokio::test]
async fn a_table_with_other_keys_is_refused() {
    let table = new_table();
    let key = KeySchemaElement::builder().attribute_name("Id").key_type(KeyType::Hash).build().unwrap();
    let id =
        AttributeDefinition::builder().attribute_name("Id").attribute_type(ScalarAttributeType::S).build().unwrap();
    let create = dynamodb().create_table().table_name(&table).billing_mode(BillingMode::PayPerRequest);
    create.key_schema(key).attribute_definitions(id).send().await.unwrap();
    assert_eq!(
        store(&table).mappings().await,
        Err(StoreError::Refused(format!(
            "the table {table} is no store of Pelton's: its keys are Id (HASH) instead of Scope (HASH) and Row (RANGE), both \
             strings. Choose another Table; one that doesn't exist is created"
        )))
    );
    delete(&table).await;
}

#[tokio::test]
async fn a_table_of_a_newer_version_is_refused() {
    let table = new_table();
    store(&table).mappings().await.unwrap();
    let text = |text: &str| AttributeValue::S(text.into());
    let put = dynamodb().put_item().table_name(&table).item("Scope", text("store")).item("Row", text("version"));
    put.item("Version", AttributeValue::N("9".into())).send().await.unwrap();
    assert_eq!(
        store(&table).mappings().await,
        Err(StoreError::Refused(format!(
            "the store's table {table} has version 9, and this Pelton knows versions up to 1 only: run the newer Pelton that \
             wrote it, or choose another Table and accept that every mapping begins at its StartingPosition"
        )))
    );
    delete(&table).await;
}

#[tokio::test]
async fn errors_say_whether_trying_again_can_help() {
    let unreachable = DynamoDbStore::new(client("http://127.0.0.1:1"), new_table(), LEASE);
    let error = unreachable.mappings().await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Unavailable(text) if text.starts_with("DescribeTable on the store's table pelton-"))
    );
    let error = store("a name, not allowed").mappings().await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused(text) if text.contains("ValidationException: ")), "{error:?}");

    let (table, stream) = (new_table(), new_stream());
    let store = store(&table);
    store.mappings().await.unwrap();
    delete(&table).await;
    let error = store.shards(&stream).await.unwrap_err();
    let advice = "If the table was deleted, restart to have it created";
    assert!(matches!(&error, StoreError::Refused(text) if text.ends_with(advice)), "{error:?}");
}

/// 250 shards need several transactions; nobody ever sees a part of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_list_a_stream_at_once_agree_on_one_listing() {
    let (table, stream) = (new_table(), new_stream());
    let names: Vec<_> = (0..250).map(|index| format!("{index:03}")).collect();
    let mut replicas = JoinSet::new();
    for replica in 0..3_u64 {
        let (store, stream) = (store(&table), stream.clone());
        let listing: Vec<_> = names.iter().map(|name| shard(name, after(replica).position)).collect();
        replicas.spawn(async move { store.add_shards(&stream, &listing).await });
    }
    let watcher = store(&table);
    while !replicas.is_empty() {
        let seen = watcher.shards(&stream).await.unwrap().len();
        assert!(seen == 0 || seen == 250, "{seen} of 250 shards are seen");
        while let Some(added) = replicas.try_join_next() {
            assert_eq!(added.unwrap(), Ok(()));
        }
    }
    let known = checkpoints(&watcher, &stream).await;
    assert_eq!(known.keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    let first = known["000"].clone();
    assert!(known.values().all(|checkpoint| *checkpoint == first), "all shards are of one replica's listing");
    delete(&table).await;
}

#[tokio::test]
async fn a_listing_that_stops_half_way_counts_for_nothing() {
    let (table, stream) = (new_table(), new_stream());
    let store = store(&table);
    let listing = |of: u64| (0..250).map(|index| shard(&format!("{index:03}"), after(of).position)).collect::<Vec<_>>();
    let mut stopped = 0;
    for attempt in 0..30 {
        let limit = Duration::from_millis(fastrand::u64(1..10 << (attempt / 2)));
        let ended = tokio::time::timeout(limit, store.add_shards(&stream, &listing(attempt))).await.is_ok();
        stopped += u64::from(!ended);
        let known = checkpoints(&store, &stream).await;
        assert!(known.is_empty() || known.len() == 250, "{} of 250 shards are known", known.len());
        if !known.is_empty() {
            let first = known["000"].clone();
            assert!(known.values().all(|checkpoint| *checkpoint == first), "all shards are of one listing");
            break;
        }
        assert!(!ended);
    }
    assert!(stopped > 3, "{stopped} were stopped");
    // The parts of another listing, which is never ended, are gone with it.
    store.forget(stream.mapping).await.unwrap();
    assert_eq!(rows(&table).await, Vec::<String>::new());
    delete(&table).await;
}

#[tokio::test]
async fn a_forgetting_that_stops_half_way_can_be_repeated() {
    let (table, stream) = (new_table(), new_stream());
    let store = store(&table);
    let names: Vec<_> = (0..120).map(|index| index.to_string()).collect();
    for attempt in 1..6 {
        add(&store, &stream, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let limit = Duration::from_millis(attempt * 8);
        let ended = tokio::time::timeout(limit, store.forget(stream.mapping)).await.is_ok();
        let left = store.shards(&stream).await.unwrap().len();
        assert!(left == 0 || (left == 120 && !ended), "{left} of 120 shards are left");
        if !rows(&table).await.is_empty() {
            assert_eq!(store.mappings().await, Ok(vec![stream.mapping]), "what is left can be found");
        }
        store.forget(stream.mapping).await.unwrap();
        assert_eq!(rows(&table).await, Vec::<String>::new());
    }
    delete(&table).await;
}

/// The rows that hold lanes.
async fn lanes(table: &str) -> usize {
    rows(table).await.iter().filter(|row| row.contains(" lanes/")).count()
}

#[tokio::test]
async fn a_checkpoint_that_stops_half_way_changes_nothing() {
    let (table, stream) = (new_table(), new_stream());
    let store = store(&table);
    add(&store, &stream, &["a"]).await;
    let lease = take(&store, &stream, "a", "me").await;
    let (mut last, mut stopped) = (after(1), 0);
    store.checkpoint(&lease, &last).await.unwrap();
    for number in 2..30 {
        let next = with_windows(number, 4, 700_000);
        let limit = Duration::from_millis(fastrand::u64(1..number * 10));
        let ended = tokio::time::timeout(limit, store.checkpoint(&lease, &next)).await.is_ok();
        stopped += usize::from(!ended);
        let found = checkpoints(&store, &stream).await.remove("a").unwrap();
        assert!(found == next || (found == last && !ended), "checkpoint {number} is whole or not there");
        last = found;
    }
    assert!(stopped > 3, "{stopped} were stopped");
    // Whoever takes the lease next clears what was left behind, and keeps what counts.
    store.checkpoint(&lease, &with_windows(99, 4, 700_000)).await.unwrap();
    let next = take(&store, &stream, "a", "next").await;
    assert!(checkpoints(&store, &stream).await["a"] == with_windows(99, 4, 700_000));
    assert_eq!(lanes(&table).await, 8, "2.8 MB in rows of 384 KiB");
    assert_eq!(store.checkpoint(&lease, &with_windows(100, 1, 700_000)).await, lost(&lease));
    assert_eq!(lanes(&table).await, 8, "who lost the lease leaves nothing behind");
    store.checkpoint(&next, &after(100)).await.unwrap();
    assert_eq!(lanes(&table).await, 0);
    delete(&table).await;
}

#[tokio::test]
async fn a_checkpoint_that_arrives_late_does_not_replace_its_successor() {
    let (table, stream) = (new_table(), new_stream());
    let store = store(&table);
    add(&store, &stream, &["a"]).await;
    let lease = take(&store, &stream, "a", "me").await;
    let (large, small) = (with_windows(1, 10, 900_000), after(2));
    let (first, second) = tokio::join!(biased; store.checkpoint(&lease, &large), store.checkpoint(&lease, &small));
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert_eq!(checkpoints(&store, &stream).await["a"], small);
    assert_eq!(lanes(&table).await, 0);
    delete(&table).await;
}

/// Every second answer is lost, and the SDK makes the call again.
#[tokio::test]
async fn who_takes_a_lease_knows_it_though_the_answer_was_lost() {
    let (table, stream) = (new_table(), new_stream());
    let rule = Rule { operations: &["UpdateItem", "TransactWriteItems"], percent: 50, kinds: &[Kind::DropResponse] };
    let proxy = FaultProxy::start(&pelton_testkit::backend::dynamodb(), 3, vec![rule]).await.unwrap();
    let store = DynamoDbStore::new(client(&proxy.endpoint), table.clone(), Duration::from_millis(50));
    add(&store, &stream, &["a"]).await;
    for number in 0..20 {
        let lease = take(&store, &stream, "a", "me").await;
        let checkpoint = with_windows(number, 2, 100_000);
        store.checkpoint(&lease, &checkpoint).await.unwrap();
        assert!(checkpoints(&store, &stream).await["a"] == checkpoint);
        store.release(&lease).await.unwrap();
        store.reset(&stream, &partition("a"), &after(number)).await.unwrap();
        assert_eq!(checkpoints(&store, &stream).await["a"], after(number));
    }
    let lost = proxy.calls()["UpdateItem"].faults();
    assert!(lost > 20, "{lost} answers were lost");
    delete(&table).await;
}

/// Replicas that all want the same shards, each judging the others by their renewals alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_checkpoint_is_written_by_two_at_a_time() {
    let (table, stream) = (new_table(), new_stream());
    add(&store(&table), &stream, &["a"]).await;
    let mut replicas = JoinSet::new();
    for replica in 0..3 {
        let (store, stream) = (Arc::new(store(&table)), stream.clone());
        replicas.spawn(async move { steal(&*store, &stream, &format!("replica {replica}")).await });
    }
    let steps: u64 = replicas.join_all().await.into_iter().sum();
    let known = checkpoints(&store(&table), &stream).await;
    assert_eq!(known["a"], after(steps), "each step counted once");
    delete(&table).await;
}

/// Takes the lease whoever has it, and counts the checkpoint up until the lease is lost or for a few steps; again and
/// again, until it has counted at least ten. How often it has.
async fn steal(store: &dyn Store, stream: &StreamId, name: &str) -> u64 {
    let (me, a, mut steps) = (OwnerId(name.into()), partition("a"), 0);
    while steps < 10 {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..100))).await;
        let counter = store.shards(stream).await.unwrap()[0].counter;
        let Some(lease) = store.take(stream, &a, &me, counter).await.unwrap() else { continue };
        // Read after the take: from now on nobody else can write.
        let mut number = match &store.shards(stream).await.unwrap()[0].checkpoint.position {
            Position::After(number) => number.as_str().parse().unwrap(),
            _ => 0,
        };
        for _ in 0..fastrand::u64(1..8) {
            number += 1;
            match store.checkpoint(&lease, &after(number)).await {
                Ok(()) => steps += 1,
                Err(StoreError::LeaseLost { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    steps
}
