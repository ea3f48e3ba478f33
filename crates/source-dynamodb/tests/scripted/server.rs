//! An endpoint that answers as DynamoDB Streams does on AWS, for what no backend does: generations of shards, pages of a
//! listing, iterators that get old, records that are trimmed, and errors on demand.
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinSet;

pub const STREAM: &str = "arn:aws:dynamodb:us-east-1:111111111111:table/orders/stream/2025-11-25T15:46:02.123";

/// The first sequence number; they rise over all shards.
const FIRST: u128 = 100_000_000_000_000_000_000_001;

#[derive(Default)]
struct State {
    shards: Vec<Shard>,
    records: u128,
    /// Shards on one page of the listing; 0 is all.
    page: usize,
    /// Iterators of an older age have expired.
    age: usize,
    errors: VecDeque<(String, u16, String)>,
    calls: Vec<(String, Value)>,
}

#[derive(Default)]
struct Shard {
    id: String,
    parent: Option<String>,
    closed: bool,
    unlisted: bool,
    records: Vec<(u128, Value)>,
    /// Sequence numbers below this one are gone.
    horizon: u128,
    /// Empty pages that an iterator meets before the first record.
    empty_pages: usize,
}

pub struct Server {
    state: Arc<Mutex<State>>,
    pub endpoint: String,
    _serving: JoinSet<()>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let router = Router::new().fallback(answer).with_state(state.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { state, endpoint, _serving: serving }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Shard)) {
        change(self.state().shards.iter_mut().find(|shard| shard.id == id).expect("there is such a shard"));
    }

    pub fn open(&self, id: &str, parent: Option<&str>) {
        let shard = Shard { id: id.into(), parent: parent.map(str::to_owned), ..Shard::default() };
        self.state().shards.push(shard);
    }

    /// The shard takes no more records; one with this id takes them from now on.
    pub fn roll_over(&self, id: &str, child: &str) {
        self.change(id, |shard| shard.closed = true);
        self.open(child, Some(id));
    }

    pub fn unlist(&self, id: &str) {
        self.change(id, |shard| shard.unlisted = true);
    }

    pub fn open_shards(&self) -> Vec<String> {
        self.state().shards.iter().filter(|shard| !shard.closed).map(|shard| shard.id.clone()).collect()
    }

    /// Puts a record that arrives now, and gives its sequence number.
    pub fn put(&self, shard: &str, key: &str) -> String {
        self.put_at(shard, key, Timestamp::now())
    }

    pub fn put_at(&self, shard: &str, key: &str, at: Timestamp) -> String {
        let image = json!({ "id": { "S": key } });
        self.put_image(shard, key, at, image)
    }

    pub fn put_image(&self, shard: &str, key: &str, at: Timestamp, image: Value) -> String {
        let mut state = self.state();
        let number = FIRST + state.records;
        state.records += 1;
        let record = json!({
            "eventID": format!("{number:032x}"), "eventName": "INSERT", "eventVersion": "1.1",
            "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": at.as_second(), "Keys": { "id": { "S": key } }, "NewImage": image,
                "SequenceNumber": number.to_string(), "SizeBytes": 10, "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        });
        let shard = state.shards.iter_mut().find(|it| it.id == shard).expect("there is such a shard");
        assert!(!shard.closed, "a closed shard takes no records");
        shard.records.push((number, record));
        number.to_string()
    }

    /// An item is deleted at the end of its time to live.
    pub fn expire_item(&self, shard: &str, key: &str) {
        self.put(shard, key);
        self.change(shard, |shard| {
            let (_, record) = shard.records.last_mut().unwrap();
            record["eventName"] = json!("REMOVE");
            record["userIdentity"] = json!({ "Type": "Service", "PrincipalId": "dynamodb.amazonaws.com" });
        });
    }

    /// What came before the record with this sequence number is gone.
    pub fn trim(&self, shard: &str, first_left: &str) {
        self.change(shard, |shard| {
            shard.horizon = first_left.parse().unwrap();
            shard.records.retain(|(number, _)| *number >= shard.horizon);
        });
    }

    pub fn put_empty_pages(&self, shard: &str, pages: usize) {
        self.change(shard, |shard| shard.empty_pages = pages);
    }

    pub fn expire_iterators(&self) {
        self.state().age += 1;
    }

    pub fn list_by(&self, shards: usize) {
        self.state().page = shards;
    }

    /// The next call of this name fails so.
    pub fn fail(&self, call: &str, status: u16, code: &str) {
        self.state().errors.push_back((call.into(), status, code.into()));
    }

    /// The calls since the last time, with what they asked for.
    pub fn calls(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.state().calls)
    }

    pub fn names_of_calls(&self) -> Vec<String> {
        self.calls().into_iter().map(|(name, _)| name).collect()
    }
}

type Answer = Result<Value, (u16, String)>;

async fn answer(
    Shared(state): Shared<Arc<Mutex<State>>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let call = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    let input: Value = serde_json::from_slice(&body).unwrap();
    let mut state = state.lock().unwrap();
    state.calls.push((call.clone(), input.clone()));
    let error = state.errors.iter().position(|(name, ..)| *name == call).and_then(|i| state.errors.remove(i));
    let answer = match (error, call.as_str()) {
        (Some((_, status, code)), _) => Err((status, code)),
        (None, "DescribeStream") => describe(&state, &input),
        (None, "GetShardIterator") => iterator(&state, &input),
        (None, "GetRecords") => records(&state, &input),
        (None, other) => panic!("nobody should call {other}"),
    };
    let content = [("content-type", "application/x-amz-json-1.0")];
    match answer {
        Ok(output) => (StatusCode::OK, content, output.to_string()),
        Err((status, code)) => {
            let body =
                json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "as scripted" });
            (StatusCode::from_u16(status).unwrap(), content, body.to_string())
        }
    }
}

fn refused(code: &str) -> (u16, String) {
    (400, code.to_owned())
}

fn describe(state: &State, input: &Value) -> Answer {
    if input["StreamArn"] != STREAM {
        return Err(refused("ResourceNotFoundException"));
    }
    let listed: Vec<&Shard> = state.shards.iter().filter(|shard| !shard.unlisted).collect();
    let first = match input["ExclusiveStartShardId"].as_str() {
        Some(after) => listed.iter().position(|shard| shard.id == after).expect("a shard of the last page") + 1,
        None => 0,
    };
    let page = if state.page == 0 { listed.len() } else { state.page };
    let shards: Vec<&Shard> = listed[first..].iter().take(page).copied().collect();
    let more = first + shards.len() < listed.len();
    let shard = |shard: &&Shard| {
        let mut range = json!({ "StartingSequenceNumber": FIRST.to_string() });
        if shard.closed {
            range["EndingSequenceNumber"] = json!(shard.records.last().map_or(FIRST, |it| it.0).to_string());
        }
        let mut listed = json!({ "ShardId": shard.id, "SequenceNumberRange": range });
        if let Some(parent) = &shard.parent {
            listed["ParentShardId"] = json!(parent);
        }
        listed
    };
    let mut description = json!({
        "StreamArn": STREAM, "StreamLabel": "2025-11-25T15:46:02.123", "StreamStatus": "ENABLED",
        "Shards": shards.iter().map(shard).collect::<Vec<_>>(),
    });
    if more {
        description["LastEvaluatedShardId"] = json!(shards.last().unwrap().id);
    }
    Ok(json!({ "StreamDescription": description }))
}

/// `shard|next sequence number|empty pages passed|age`.
fn iterator(state: &State, input: &Value) -> Answer {
    let shard = state.shards.iter().find(|shard| input["ShardId"] == *shard.id);
    let shard = shard.ok_or_else(|| refused("ResourceNotFoundException"))?;
    let next = match input["ShardIteratorType"].as_str().unwrap() {
        "TRIM_HORIZON" => 0,
        "LATEST" => FIRST + state.records,
        "AFTER_SEQUENCE_NUMBER" => {
            let after: u128 = input["SequenceNumber"].as_str().unwrap().parse().unwrap();
            if after < shard.horizon {
                return Err(refused("TrimmedDataAccessException"));
            }
            after + 1
        }
        other => panic!("{other} isn't asked for"),
    };
    Ok(json!({ "ShardIterator": format!("{}|{next}|0|{}", shard.id, state.age) }))
}

fn records(state: &State, input: &Value) -> Answer {
    let parts: Vec<&str> = input["ShardIterator"].as_str().unwrap().split('|').collect();
    let [id, next, passed, age] = parts[..] else { return Err(refused("ValidationException")) };
    let (next, passed): (u128, usize) = (next.parse().unwrap(), passed.parse().unwrap());
    if age.parse() != Ok(state.age) {
        return Err(refused("ExpiredIteratorException"));
    }
    let shard = state.shards.iter().find(|shard| shard.id == id).ok_or_else(|| refused("ResourceNotFoundException"))?;
    if next > 0 && next < shard.horizon {
        return Err(refused("TrimmedDataAccessException"));
    }
    if passed < shard.empty_pages {
        let iterator = format!("{id}|{next}|{}|{age}", passed + 1);
        return Ok(json!({ "Records": [], "NextShardIterator": iterator }));
    }
    let limit = usize::try_from(input["Limit"].as_u64().unwrap()).unwrap();
    assert!((1..=1_000).contains(&limit), "a limit that AWS refuses: {limit}");
    let waiting: Vec<_> = shard.records.iter().filter(|(number, _)| *number >= next).collect();
    let given = &waiting[..waiting.len().min(limit)];
    let mut output = json!({ "Records": given.iter().map(|(_, record)| record).collect::<Vec<_>>() });
    if !shard.closed || given.len() < waiting.len() {
        let next = given.last().map_or(next, |(number, _)| number + 1);
        output["NextShardIterator"] = json!(format!("{id}|{next}|{passed}|{age}"));
    }
    Ok(output)
}
