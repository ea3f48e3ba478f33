//! `pelton checkpoint` on a real stream, beside `pelton run` and without it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod place;

use pelton_core::MappingId;
use pelton_testkit::{backend, eventually};
use serde_json::Value;

use place::{LIMIT, Place, Put, function};

fn data(put: &Put) -> Vec<String> {
    put.values().flatten().map(|(data, _)| data.clone()).collect()
}

#[tokio::test]
async fn a_mapping_is_disabled_reset_and_enabled_while_pelton_runs() {
    let place = Place::new(2).await;
    let put = place.put_some("old", 2).await;
    let running = place.run().await;
    place.has_got(&data(&put), 1).await;
    place.is_settled(&put).await;

    let shards = place.shards();
    let names: Vec<&str> = shards.iter().map(|shard| shard["ShardId"].as_str().unwrap()).collect();
    assert_eq!(names, put.keys().collect::<Vec<_>>(), "in order");
    let owner = shards[0]["Owner"].as_str().unwrap();
    for shard in &shards {
        assert_eq!((&shard["LagMilliseconds"], &shard["Trimmed"]), (&Value::from(0), &Value::from(false)), "{shard}");
        assert!(shard["ArrivedAt"].is_string() && shard["Owner"] == owner, "{shard}");
    }
    let status = place.command(&["status", "--shards", &running.url]).output().unwrap();
    let table = String::from_utf8(status.stdout).unwrap();
    assert!(table.lines().nth(1).unwrap().contains("  2 shards, "), "{table}");
    let lines = table.lines().filter(|line| line.contains(&owner[..8])).count();
    assert_eq!(lines, 2, "a line a shard: {table}");

    let mapping = format!("the mapping {} → work", place.arn());
    let (status, printed, error) = place.reset(&["--to", "TRIM_HORIZON"]);
    assert_eq!((status, printed.as_str()), (1, ""));
    assert_eq!(
        error,
        format!(
            "pelton: nothing was reset, because the process {owner} works on {} of {mapping}: set Enabled: false for it in \
             pelton.yaml, which a running pelton takes over by itself, and try again\n",
            names[0]
        )
    );

    place.write(", Enabled: false");
    running.is("Disabled").await;
    assert!(place.shards().iter().all(|shard| shard["Owner"].is_null()), "the leases are released");
    let (status, printed, error) = place.reset(&["--to", "TRIM_HORIZON"]);
    assert_eq!((status, error.as_str()), (0, ""));
    let lines: Vec<String> =
        put.iter().map(|(shard, records)| format!("{shard}: {} → TRIM_HORIZON\n", records.last().unwrap().1)).collect();
    assert_eq!(printed, lines.concat());
    let (status, table, error) = place.checkpoint(&["list", "--mapping", &place.arn()]);
    assert_eq!((status, error.as_str()), (0, ""));
    let heading = format!("{}  {} → work, disabled", place.uuid(), place.arn());
    assert_eq!(table.lines().next(), Some(heading.as_str()));
    let cells: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(cells[0], ["SHARD", "POSITION", "ARRIVED", "LAG", "OWNER"]);
    assert_eq!(cells[1][..3], [names[0], "TRIM_HORIZON", "-"]);
    assert!(place.shards().iter().all(|shard| shard["LagMilliseconds"].as_u64().unwrap() > 0), "{table}");

    place.write("");
    place.has_got(&data(&put), 2).await;
    place.is_settled(&put).await;
    assert!(place.seen().values().all(|count| *count == 2), "{:?}", place.seen());
}

#[tokio::test]
async fn checkpoints_are_reset_after_a_crash_without_a_process() {
    let place = Place::new(1).await;
    let put = place.put_some("old", 1).await;
    let running = place.run().await;
    place.has_got(&data(&put), 1).await;
    place.is_settled(&put).await;
    drop(running);
    assert!(place.shards()[0]["Owner"].is_null(), "whoever held it is dead");

    // Behind a sequence number.
    let (shard, records) = put.first_key_value().unwrap();
    let first = &records[0].1;
    let (status, printed, error) = place.reset(&["--shard", shard, "--to", first]);
    assert_eq!((status, error.as_str()), (0, ""));
    assert_eq!(printed, format!("{shard}: {} → {first}\n", records.last().unwrap().1));
    let running = place.run().await;
    place.has_got(&data(&put)[1..], 2).await;
    place.is_settled(&put).await;
    assert_eq!(place.seen()[&records[0].0], 1, "the record itself doesn't come again");
    drop(running);

    // From now on.
    let skipped = place.put_some("skipped", 1).await;
    let is_older_than_the_margin = |shard: &Value| shard["LagMilliseconds"].as_u64().is_some_and(|lag| lag > 2_000);
    eventually("the records are old", LIMIT, || async { place.shards().iter().all(is_older_than_the_margin) }).await;
    let (status, printed, error) = place.reset(&["--to", "LATEST"]);
    assert_eq!((status, error.as_str()), (0, ""));
    assert!(printed.contains(" → AT_TIMESTAMP 20"), "{printed}");
    let new = place.put_some("new", 1).await;
    let running = place.run().await;
    place.has_got(&data(&new), 1).await;
    place.is_settled(&new).await;
    let seen = place.seen();
    assert!(data(&skipped).iter().all(|data| !seen.contains_key(data)), "{seen:?}");
    drop(running);

    // From a time on.
    let (status, _, error) = place.reset(&["--to", "2026-01-01T00:00:00Z"]);
    assert_eq!((status, error.as_str()), (0, ""));
    let _running = place.run().await;
    place.has_got(&data(&skipped), 1).await;
}

#[tokio::test]
async fn what_can_not_be_done_is_said_in_words() {
    let place = Place::new(1).await;
    let refused = |arguments: &[&str]| {
        let (status, printed, error) = place.checkpoint(arguments);
        assert_eq!((status, printed.as_str()), (2, ""), "{error}");
        error.strip_prefix("pelton: ").map(|text| text.trim_end().to_owned()).unwrap_or(error)
    };
    let (uuid, arn) = (place.uuid(), place.arn());
    let reset = |arguments: &[&str]| refused(&[&["reset", "--mapping", &uuid], arguments].concat());
    let nothing = "nothing was kept yet: the store $/pelton.db doesn't exist";
    assert_eq!(refused(&["list"]), nothing);
    assert_eq!(reset(&["--to", "LATEST"]), nothing);
    assert!(!place.folder.path().join("pelton.db").exists());

    let put = place.put_some("record", 1).await;
    let running = place.run().await;
    place.has_got(&data(&put), 1).await;
    place.is_settled(&put).await;
    drop(running);
    let shard = put.keys().next().unwrap();

    let there = format!("pelton.yaml has no mapping of a stream 7: there is\n  {uuid}  {arn} → work");
    assert_eq!(refused(&["list", "--mapping", "7"]), there);
    assert_eq!(refused(&["reset", "--mapping", "7", "--to", "LATEST"]), there);
    assert_eq!(
        reset(&["--shard", "shardId-7", "--to", "LATEST"]),
        format!("the mapping {arn} → work has no checkpoint of a shard shardId-7, but of {shard}")
    );
    assert_eq!(
        reset(&["--to", "77"]),
        format!("--to a sequence number needs --shard, since each shard has its own numbers: {shard}")
    );
    let future = reset(&["--to", "2999-01-01T00:00:00Z"]);
    assert!(future.starts_with("--to 2999-01-01T00:00:00Z is in the future, it is now "), "{future}");
    assert!(future.ends_with(": LATEST begins with what is put from now on"), "{future}");
    let yesterday = reset(&["--to", "yesterday"]);
    let words = "write TRIM_HORIZON, LATEST, a time such as 2026-01-01T00:00:00Z, or a sequence number";
    assert!(
        yesterday.contains("invalid value 'yesterday' for '--to <PLACE>'") && yesterday.contains(words),
        "{yesterday}"
    );
    assert_eq!(
        refused(&["list", "-c", "none.yaml"]),
        "cannot read the configuration file none.yaml: No such file or directory (os error 2); -c FILE names another file"
    );
    place.is_settled(&put).await;

    std::fs::write(place.folder.path().join("bad.yaml"), "EventSourceMappings: [{}]").unwrap();
    let bad = refused(&["list", "-c", "bad.yaml"]);
    assert!(bad.starts_with("nothing was done, since the file has problems\n\nbad.yaml:1:"), "{bad}");
    std::fs::write(place.folder.path().join("memory.yaml"), place.text("") + "State: {Memory: {}}\n").unwrap();
    let memory = refused(&["list", "-c", "memory.yaml"]);
    assert!(
        memory.starts_with("State is Memory, so checkpoints and events are in the process that runs alone"),
        "{memory}"
    );
    std::fs::write(place.folder.path().join("pelton.db"), "no database ".repeat(100)).unwrap();
    let damaged = refused(&["list"]);
    assert!(damaged.starts_with("the store $/pelton.db is damaged (file is not a database): "), "{damaged}");
}

#[tokio::test]
async fn a_mapping_that_the_file_lost_while_nothing_ran_is_shown_and_a_new_one_has_no_checkpoint() {
    let place = Place::new(1).await;
    let put = place.put_some("record", 1).await;
    let running = place.run().await;
    place.has_got(&data(&put), 1).await;
    place.is_settled(&put).await;
    drop(running);
    let before = place.uuid();
    let file = place.folder.path().join("pelton.yaml");
    std::fs::write(&file, place.text("").replace("FunctionName: work", "FunctionName: other")).unwrap();
    let (status, table, error) = place.checkpoint(&["list"]);
    assert_eq!((status, error.as_str()), (0, ""));
    let other = MappingId::of(&place.arn(), &function("other"));
    let begins = format!(
        "{other}  {} → other\nno checkpoint yet: it begins at its StartingPosition TRIM_HORIZON\n\n{before}  a mapping that \
         the file doesn't have\nSHARD",
        place.arn()
    );
    assert!(table.starts_with(&begins), "{table}");
    let (status, _, error) = place.checkpoint(&["reset", "--mapping", &place.arn(), "--to", "LATEST"]);
    let words = format!(
        "pelton: the mapping {} → other has no checkpoint yet: it begins at its StartingPosition\n",
        place.arn()
    );
    assert_eq!((status, error), (2, words));
}

/// MiniStack takes any number.
#[tokio::test]
async fn a_sequence_number_that_the_shard_does_not_have_moves_nothing() {
    let place = Place::at(backend::localstack(), 1).await;
    let put = place.put_some("record", 1).await;
    let running = place.run().await;
    place.has_got(&data(&put), 1).await;
    place.is_settled(&put).await;
    drop(running);
    let shard = put.keys().next().unwrap();
    let unknown = "49590338271490256608559692538361571095921575989136588898";
    let (status, printed, error) = place.reset(&["--shard", shard, "--to", unknown]);
    let words = format!(
        "pelton: {shard} has no record {unknown}, or no longer: TRIM_HORIZON begins with the oldest record there is\n"
    );
    assert_eq!((status, printed.as_str(), error), (2, "", words));
    place.is_settled(&put).await;
}

#[tokio::test]
async fn a_mapping_that_was_cut_off_at_the_end_of_the_grace_period_can_be_reset() {
    let place = Place::new(1).await;
    let file = |more: &str| place.text(more) + "GracePeriodSeconds: 0\n";
    place.replace(&file(""));
    let (shard, number) = place.put("hang").await;
    let running = place.run().await;
    place.has_got(&["hang".to_owned()], 1).await;
    place.replace(&file(", Enabled: false"));
    running.is("Disabled").await;
    eventually("the lease is released", LIMIT, || async { place.shards()[0]["Owner"].is_null() }).await;
    let (status, printed, error) = place.reset(&["--shard", &shard, "--to", &number]);
    assert_eq!((status, error.as_str()), (0, ""));
    assert_eq!(printed, format!("{shard}: TRIM_HORIZON → {number}\n"));
}

#[tokio::test]
async fn a_table_that_replicas_share_tells_who_lives() {
    let place = Place::new(1).await;
    let table = format!("pelton-{}", uuid::Uuid::new_v4().simple());
    let state = format!(
        "Endpoints: {{DynamoDB: '{}'}}\nState: {{DynamoDB: {{Table: {table}, LeaseRenewalSeconds: 1}}}}\n",
        backend::dynamodb()
    );
    let file = |more: &str| place.text(more) + &state;
    place.replace(&file(""));
    let nothing = format!("pelton: nothing was kept yet: the table {table} doesn't exist\n");
    assert_eq!(place.checkpoint(&["list"]), (2, String::new(), nothing));

    let put = place.put_some("old", 1).await;
    let running = place.run().await;
    place.has_got(&data(&put), 1).await;
    place.is_settled(&put).await;
    let shard = put.keys().next().unwrap();
    let waiting = "pelton: waiting 2s, a lease's time, to see whether a process works on the mapping\n";
    let owner = place.shards()[0]["Owner"].as_str().unwrap().to_owned();
    let (status, printed, error) = place.reset(&["--to", "TRIM_HORIZON"]);
    assert_eq!((status, printed.as_str()), (1, ""));
    let start =
        format!("{waiting}pelton: nothing was reset, because the process {owner} works on {shard} of the mapping ");
    assert!(error.starts_with(&start), "{error}");

    place.replace(&file(", Enabled: false"));
    running.is("Disabled").await;
    let last = &put[shard].last().unwrap().1;
    let moved = format!("{shard}: {last} → TRIM_HORIZON\n");
    assert_eq!(place.reset(&["--to", "TRIM_HORIZON"]), (0, moved.clone(), String::new()), "nobody's: no wait");
    place.replace(&file(""));
    place.has_got(&data(&put), 2).await;
    place.is_settled(&put).await;

    drop(running);
    assert_eq!(place.shards()[0]["Owner"], owner.as_str(), "killed, it could release nothing");
    assert_eq!(place.reset(&["--to", "TRIM_HORIZON"]), (0, moved, waiting.to_owned()), "it shows no sign of life");
    let _running = place.run().await;
    place.has_got(&data(&put), 3).await;
}
