//! `pelton status` against a listener that answers what a test says.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

const PELTON: &str = env!("CARGO_BIN_EXE_pelton");

fn mappings(invoked: u64) -> String {
    format!(
        r#"[{{"UUID":"u","EventSourceArn":"arn:aws:sqs:us-east-1:000000000000:orders",
        "FunctionArn":"arn:aws:lambda:us-east-1:000000000000:function:work","State":"Enabled",
        "LastProcessingResult":"OK","InFlight":1,"Pollers":1,"Polled":{invoked},"Invoked":{invoked},"Failed":1,
        "Dropped":0,"Deleted":1,"ReportedSuccesses":0,"ReportedFailures":0,"DestinationDeliveryFailures":0,
        "ExpiredReceipts":0,"SomethingNew":[]}}]"#
    )
}

fn no_functions() -> (&'static str, String) {
    ("200 OK", "[]".to_owned())
}

/// Gives each answer to one connection: status line, body. Ends with the requests' first lines.
fn listener(answers: Vec<(&'static str, String)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for (status, body) in answers {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let lines: Vec<String> =
                stream.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            requests.push(lines[0].clone());
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
        requests
    });
    (address, serving)
}

fn status(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Command::new(PELTON).arg("status").args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn prints_a_table() {
    for prefix in ["", "http://"] {
        let (address, serving) = listener(vec![("200 OK", mappings(8)), no_functions()]);
        let (code, table, error) = status(&[&format!("{prefix}{address}")]);
        assert_eq!((code, error.as_str()), (Some(0), ""));
        assert_eq!(
            table,
            "SOURCE  FUNCTION  STATE    BACKLOG  IN FLIGHT  PROCESSED  FAILED  LAST ERROR\n\
             orders  work      Enabled        -          1          7       1  -\n"
        );
        assert_eq!(serving.join().unwrap(), ["GET /status HTTP/1.1", "GET /status/functions HTTP/1.1"]);
    }
}

#[test]
fn prints_a_table_of_the_functions_that_are_invoked_asynchronously() {
    let functions = r#"[{"FunctionArn":"arn:aws:lambda:us-east-1:000000000000:function:work:live","Waiting":2,"InFlight":1,
        "AgeSeconds":61.0,"Received":9,"Invocations":8,"Errors":3,"Throttles":0,"Retries":4,"Dropped":1,
        "ReportedSuccesses":5,"ReportedFailures":1,"DestinationDeliveryFailures":0,"DeadLettered":1,"DeadLetterErrors":0,
        "SomethingNew":[]}]"#;
    let (address, _serving) = listener(vec![("200 OK", "[]".into()), ("200 OK", functions.into())]);
    let (code, tables, error) = status(&[&address]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert_eq!(
        tables,
        "no mappings\n\n\
         FUNCTION   WAITING  IN FLIGHT    AGE  RECEIVED  RETRIES  DROPPED  DELIVERED  DEAD-LETTERED  LAST ERROR\n\
         work:live        2          1  1 min         9        4        1          6              1  -\n"
    );
}

#[test]
fn says_so_when_nothing_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    for arguments in [vec![address.as_str()], vec![address.as_str(), "--watch"]] {
        let (code, table, error) = status(&arguments);
        assert_eq!((code, table.as_str()), (Some(1), ""));
        let start = format!("pelton: can't ask http://{address}/status: is `pelton run` running there");
        assert!(error.starts_with(&start), "{error}");
        assert!(error.to_lowercase().contains("refused"), "{error}");
    }
}

#[test]
fn says_so_when_something_else_answers() {
    for (line, body, words) in [
        ("404 Not Found", "[]", "answers with HTTP status 404: that is not Pelton's `Listen` address"),
        ("200 OK", "<html>", "doesn't answer as Pelton does"),
        ("200 OK", "[{}]", "missing field"),
    ] {
        let (address, _serving) = listener(vec![(line, body.into())]);
        let (code, table, error) = status(&[&address]);
        assert_eq!((code, table.as_str()), (Some(1), ""));
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn watches_until_the_reader_goes() {
    let ok = |invoked| ("200 OK", mappings(invoked));
    let mut answers = vec![ok(1), no_functions(), ok(1001), no_functions(), ("503 Starting", String::new())];
    answers.extend([5, 6, 7].into_iter().flat_map(|invoked| [ok(invoked), no_functions()]));
    let (address, _serving) = listener(answers);
    let mut command = Command::new(PELTON);
    let mut child = command.args(["status", "--watch", &address]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next = |start: &str| lines.find(|line| line.starts_with(start)).expect("the watch goes on");
    assert_eq!(next("SOURCE").split_whitespace().filter(|word| *word == "MSG/S").count(), 1);
    let rate = |line: String| line.split_whitespace().nth(5).unwrap().parse::<f64>().ok();
    assert_eq!(rate(next("orders")), None, "one look gives no rate");
    let first = rate(next("orders")).expect("two looks give one");
    assert!((300.0..1100.0).contains(&first), "1000 messages in about a second: {first}");
    assert!(next("http://").contains("HTTP status 503"));
    assert!(next("trying again").contains("Ctrl-C"));
    assert_eq!(rate(next("orders")), None, "started anew");
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0), "it ends with its reader");
}
