//! A changed configuration: what changed stops and starts, what didn't is never touched.
use pelton_tests::{Backend, Function, Pelton, Queue, complete, eventually, mapping, on_both_backends};
use serde_json::{Value, json};

fn configuration(backend: &Backend, functions: &[&Function], mappings: Vec<Value>) -> Value {
    let functions: Vec<Value> = functions.iter().map(|function| function.entry()).collect();
    json!({ "Endpoint": backend.endpoint, "Functions": functions, "EventSourceMappings": mappings })
}

fn slow(seconds: f64) -> Value {
    json!({ "do": "sleep", "seconds": seconds })
}

async fn is_deleted(pelton: &Pelton, queue: &Queue, count: usize) {
    eventually(&format!("{count} deleted"), || async { pelton.status(queue)["Deleted"] == count }).await;
}

async fn mappings_are_added_changed_and_removed_with_batches_in_flight(backend: Backend) {
    let (kept, changed, removed, added) =
        (backend.queue(60).await, backend.queue(60).await, backend.queue(60).await, backend.queue(60).await);
    let functions =
        [Function::named("kept"), Function::named("changed"), Function::named("removed"), Function::named("added")];
    let [kept_function, changed_function, removed_function, added_function] = &functions;
    let all: Vec<&Function> = functions.iter().collect();
    let before = vec![
        mapping(&kept, kept_function, json!({})),
        mapping(&changed, changed_function, json!({ "BatchSize": 1 })),
        mapping(&removed, removed_function, json!({})),
    ];
    let pelton = Pelton::run(configuration(&backend, &all, before)).await;
    for queue in [&kept, &changed, &removed] {
        queue.send(slow(2.0)).await;
    }
    for function in [kept_function, changed_function, removed_function] {
        function.is_invoked(1).await;
    }
    // Nobody has had time to end: three batches are in flight.
    changed.send_all((0..3).map(|i| json!({ "i": i }).to_string())).await;
    let after = vec![
        mapping(&kept, kept_function, json!({})),
        mapping(&changed, changed_function, json!({ "BatchSize": 10 })),
        mapping(&added, added_function, json!({})),
    ];
    pelton.replace_configuration(configuration(&backend, &all, after));
    pelton.hang_up();
    added.send("first").await;
    pelton.has_reloaded(1).await;

    for (function, what) in [(kept_function, "kept"), (changed_function, "changed"), (removed_function, "removed")] {
        let first = function.seen().remove(0);
        assert!(first.end.is_some_and(|end| end - first.start >= 2.0), "{what}: its batch came to its end");
    }
    assert_eq!(removed.counts().await, (0, 0), "what was in flight was processed and deleted, once");
    assert_eq!(added_function.is_done(1).await[0].bodies(), ["first"]);
    changed.is_drained().await;
    let batches: Vec<usize> = changed_function.seen().iter().map(|seen| seen.records().len()).collect();
    assert_eq!(batches.iter().sum::<usize>(), 4, "each message once");
    assert_eq!(pelton.status(&changed)["Invoked"], 4, "its counts go on");
    let listed: Value = serde_json::from_str(&pelton.get("/status").1).unwrap();
    assert!(listed.as_array().unwrap().iter().all(|mapping| mapping["EventSourceArn"] != removed.arn.as_str()));
    assert!(!pelton.get("/metrics").1.contains(&removed.arn), "what is gone is gone from the metrics too");
    removed.send("nobody reads this").await;
    kept.send("once more").await;
    is_deleted(&pelton, &kept, 2).await;
    assert_eq!(kept_function.seen().len(), 2);
    assert_eq!(removed.counts().await, (1, 0));
}

async fn the_others_never_miss_a_poll(backend: Backend) {
    let (steady, changing) = (backend.queue(60).await, backend.queue(60).await);
    let (steady_function, changing_function) = (Function::named("steady"), Function::named("changing"));
    let with = |size: usize| {
        let mappings = vec![
            mapping(&steady, &steady_function, json!({ "BatchSize": 1 })),
            mapping(&changing, &changing_function, json!({ "BatchSize": size })),
        ];
        configuration(&backend, &[&steady_function, &changing_function], mappings)
    };
    let pelton = Pelton::run(with(1)).await;
    // The changing one is held up by a slow batch, while messages come to the steady one all the time.
    changing.send(slow(3.0)).await;
    changing_function.is_invoked(1).await;
    pelton.replace_configuration(with(2));
    for i in 0..20 {
        steady.send(json!({ "i": i })).await;
        steady_function.is_invoked(i + 1).await;
    }
    assert_eq!(pelton.metric("pelton_configuration_reloads_total"), 0.0, "the slow batch still runs");
    pelton.has_reloaded(1).await;
    let starts: Vec<f64> = steady_function.seen().iter().map(|seen| seen.start).collect();
    let longest = starts.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    assert!(longest < 2.0, "no gap as long as the other's reload: {longest} s");
}

async fn a_changed_function_is_replaced_and_the_other_keeps_its_processes(backend: Backend) {
    let (one, two) = (backend.queue(60).await, backend.queue(60).await);
    let (first, second) = (Function::named("first"), Function::named("second"));
    let mappings = vec![mapping(&one, &first, json!({})), mapping(&two, &second, json!({}))];
    let pelton = Pelton::run(configuration(&backend, &[&first, &second], mappings.clone())).await;
    one.send(slow(0.0)).await;
    two.send(slow(0.0)).await;
    let (before_one, before_two) = (first.is_done(1).await[0].pid, second.is_done(1).await[0].pid);
    let second = second.with_timeout(1);
    pelton.replace_configuration(configuration(&backend, &[&first, &second], mappings));
    pelton.has_reloaded(1).await;
    one.send("still the same").await;
    two.send(json!({ "do": "sleep", "seconds": 1.5, "times": 1 })).await;
    assert_eq!(first.is_done(2).await[1].pid, before_one, "the unchanged function runs on");
    assert_ne!(second.is_invoked(2).await[1].pid, before_two);
    eventually("the new time limit is in force", || async { pelton.status(&two)["Failed"] == 1 }).await;
}

async fn a_mapping_is_disabled_and_enabled_again(backend: Backend) {
    let (queue, function) = (backend.queue(60).await, Function::named("work"));
    let with = |enabled: bool| {
        configuration(&backend, &[&function], vec![mapping(&queue, &function, json!({ "Enabled": enabled }))])
    };
    let pelton = Pelton::run(with(true)).await;
    pelton.replace_configuration(with(false));
    pelton.has_reloaded(1).await;
    assert_eq!(pelton.status(&queue)["State"], "Disabled");
    queue.send("waits").await;
    pelton.replace_configuration(with(true));
    pelton.has_reloaded(2).await;
    assert_eq!(function.is_done(1).await[0].bodies(), ["waits"]);
    assert_eq!(function.seen()[0].receive_counts(), ["1"], "nobody received it while the mapping was disabled");
}

async fn a_broken_file_is_refused_and_the_old_one_stays_in_force(backend: Backend) {
    let (queue, function) = (backend.queue(60).await, Function::named("work"));
    let with = |size: Value| {
        configuration(&backend, &[&function], vec![mapping(&queue, &function, json!({ "BatchSize": size }))])
    };
    let pelton = Pelton::run(with(json!(1))).await;
    assert_eq!(pelton.metric("pelton_configuration_is_current"), 1.0);
    let missing = {
        let mut configuration = with(json!(1));
        configuration["Functions"][0]["CodeUri"] = json!("/no/such/folder");
        complete(configuration)
    };
    let elsewhere = complete(with(json!(1))).replace("127.0.0.1:0", "127.0.0.1:1");
    let broken = [
        ("Functions: [", "pelton.yaml:1:"),
        (&complete(with(json!(0))), "BatchSize: 0"),
        (&missing, "/no/such/folder"),
        (&elsewhere, "that takes a restart"),
    ];
    for (i, (text, reason)) in broken.into_iter().enumerate() {
        // Both ways in which programs write files.
        if i % 2 == 0 {
            pelton.write_file(text)
        } else {
            pelton.replace_file(text)
        }
        eventually(&format!("{text} is refused"), || async {
            pelton.metric("pelton_configuration_reload_failures_total") as usize == i + 1
        })
        .await;
        assert!(pelton.log().contains(reason), "{reason}");
        assert_eq!(pelton.metric("pelton_configuration_is_current"), 0.0);
        queue.send(i).await;
        is_deleted(&pelton, &queue, i + 1).await;
    }
    pelton.write_file(&complete(with(json!(5))));
    pelton.has_reloaded(1).await;
    assert_eq!(pelton.metric("pelton_configuration_is_current"), 1.0);
    queue.send("new").await;
    is_deleted(&pelton, &queue, 5).await;
}

async fn a_stop_during_a_reload_is_a_stop(backend: Backend) {
    let (queue, function) = (backend.queue(60).await, Function::named("work"));
    let with = |size: usize| {
        configuration(&backend, &[&function], vec![mapping(&queue, &function, json!({ "BatchSize": size }))])
    };
    let mut pelton = Pelton::run(with(1)).await;
    queue.send(slow(2.0)).await;
    function.is_invoked(1).await;
    pelton.replace_configuration(with(2));
    pelton.hang_up();
    eventually("the reload has begun", || async { pelton.log().contains("reading the configuration again") }).await;
    pelton.terminate();
    let status = pelton.ends(std::time::Duration::from_secs(20)).await;
    assert!(status.success(), "{status}");
    assert_eq!(queue.counts().await, (0, 0), "the batch in flight came to its end");
}

on_both_backends!(
    mappings_are_added_changed_and_removed_with_batches_in_flight,
    the_others_never_miss_a_poll,
    a_changed_function_is_replaced_and_the_other_keeps_its_processes,
    a_mapping_is_disabled_and_enabled_again,
    a_broken_file_is_refused_and_the_old_one_stays_in_force,
    a_stop_during_a_reload_is_a_stop,
);
