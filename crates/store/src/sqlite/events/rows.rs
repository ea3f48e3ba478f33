//! The statements. None of those that take an event from acceptance to its end reads more rows than it gives.
use bytes::Bytes;
use jiff::Timestamp;
use pelton_core::{AsyncEvent, Due, EventId, EventSummary, FunctionName, StoreError, TraceHeader};
use rusqlite::{Connection, OptionalExtension as _, Result, params};
use uuid::Uuid;

use crate::refusal::unreadable_event;

/// What changes of an event, and what a list shows.
pub struct Row {
    id: EventId,
    function: String,
    accepted_at: Timestamp,
    due_at: Timestamp,
    attempts: u32,
    refusals: u32,
    is_taken: bool,
}

/// What never changes.
pub struct Content {
    trace: String,
    client_context: Option<String>,
    payload: Vec<u8>,
}

const COLUMNS: &str = "id, function, accepted_at, due_at, attempts, refusals, taken";

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> Result<Self> {
        Ok(Self {
            id: EventId(Uuid::from_bytes(row.get(0)?)),
            function: row.get(1)?,
            accepted_at: time(row.get(2)?),
            due_at: time(row.get(3)?),
            attempts: count_of(row.get(4)?),
            refusals: count_of(row.get(5)?),
            is_taken: row.get(6)?,
        })
    }

    fn parse(&self) -> std::result::Result<FunctionName, StoreError> {
        self.function.parse().map_err(|_| unreadable_event(self.id, &self.function))
    }

    pub fn summary(self) -> std::result::Result<EventSummary, StoreError> {
        let function = self.parse()?;
        let Self { id, accepted_at, attempts, due_at, is_taken, .. } = self;
        Ok(EventSummary { id, function, accepted_at, attempts, due_at, is_taken })
    }

    pub fn event(self, content: Content) -> std::result::Result<AsyncEvent, StoreError> {
        Ok(self.event_of(&self.parse()?, content))
    }

    fn event_of(&self, function: &FunctionName, content: Content) -> AsyncEvent {
        AsyncEvent {
            id: self.id,
            function: function.clone(),
            payload: Bytes::from(content.payload),
            client_context: content.client_context,
            trace: TraceHeader::received(Some(&content.trace)),
            accepted_at: self.accepted_at,
            attempts: self.attempts,
            refusals: self.refusals,
            due_at: self.due_at,
        }
    }
}

/// A number that is none of a time's was put there by hand: such an event is due.
fn time(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A number that is no count was put there by hand: it must not keep other events from being taken.
fn count_of(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// False: there is one of that id.
pub fn add(connection: &Connection, event: &AsyncEvent) -> Result<bool> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO event (id, function, accepted_at, due_at, attempts, refusals, taken)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0) ON CONFLICT (id) DO NOTHING",
    )?;
    let (accepted_at, due_at) = (event.accepted_at.as_microsecond(), event.due_at.as_microsecond());
    let row =
        params![event.id.0.as_bytes(), event.function.as_str(), accepted_at, due_at, event.attempts, event.refusals];
    if insert.execute(row)? == 0 {
        return Ok(false);
    }
    let number = connection.last_insert_rowid();
    let mut insert = connection.prepare_cached("INSERT INTO event_content VALUES (?1, ?2, ?3, ?4)")?;
    insert.execute(params![number, event.trace.as_str(), event.client_context, &event.payload[..]])?;
    Ok(true)
}

fn content(connection: &Connection, number: i64) -> Result<Content> {
    let mut select =
        connection.prepare_cached("SELECT trace, client_context, payload FROM event_content WHERE number = ?1")?;
    select.query_row([number], |row| {
        Ok(Content { trace: row.get(0)?, client_context: row.get(1)?, payload: row.get(2)? })
    })
}

pub fn take(connection: &Connection, function: &FunctionName, now: Timestamp, most: usize) -> Result<Due> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, number FROM event WHERE function = ?1 AND taken = 0 AND due_at <= ?2
         ORDER BY due_at, number LIMIT ?3"
    ))?;
    let bounds = params![function.as_str(), now.as_microsecond(), limit(most)];
    let rows = select.query_map(bounds, |row| Ok((Row::read(row)?, row.get(7)?)))?.collect::<Result<Vec<_>>>()?;
    let mut update = connection.prepare_cached("UPDATE event SET taken = 1 WHERE number = ?1")?;
    let mut events = Vec::with_capacity(rows.len());
    for (row, number) in rows {
        update.execute([number])?;
        events.push(row.event_of(function, content(connection, number)?));
    }
    let mut first = connection
        .prepare_cached("SELECT due_at FROM event WHERE function = ?1 AND taken = 0 ORDER BY due_at LIMIT 1")?;
    let next = first.query_row([function.as_str()], |row| row.get(0)).optional()?.map(time);
    Ok(Due { events, next })
}

pub fn put_back(
    connection: &Connection,
    event: EventId,
    attempts: u32,
    refusals: u32,
    due_at: Timestamp,
) -> Result<()> {
    let mut update = connection
        .prepare_cached("UPDATE event SET attempts = ?2, refusals = ?3, due_at = ?4, taken = 0 WHERE id = ?1")?;
    update.execute(params![event.0.as_bytes(), attempts, refusals, due_at.as_microsecond()]).map(|_| ())
}

fn delete(connection: &Connection, event: EventId, sql: &str) -> Result<bool> {
    let mut delete = connection.prepare_cached(sql)?;
    let number = delete.query_row([event.0.as_bytes()], |row| row.get::<_, i64>(0)).optional()?;
    if let Some(number) = number {
        connection.prepare_cached("DELETE FROM event_content WHERE number = ?1")?.execute([number])?;
    }
    Ok(number.is_some())
}

pub fn remove(connection: &Connection, event: EventId) -> Result<()> {
    delete(connection, event, "DELETE FROM event WHERE id = ?1 RETURNING number").map(|_| ())
}

pub fn cancel(connection: &Connection, event: EventId) -> Result<bool> {
    delete(connection, event, "DELETE FROM event WHERE id = ?1 AND taken = 0 RETURNING number")
}

/// Reads an entry of an index for each event.
pub fn count(connection: &Connection) -> Result<Vec<(String, u64)>> {
    let mut select = connection.prepare_cached(
        "SELECT function, sum(events) FROM (
             SELECT function, count(*) AS events FROM event WHERE taken = 0 GROUP BY function
             UNION ALL SELECT function, count(*) FROM event WHERE taken = 1 GROUP BY function
         ) GROUP BY function",
    )?;
    let counts = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    counts.collect()
}

/// Of one function among many, it may read all events to find them.
pub fn list(
    connection: &Connection,
    function: Option<&FunctionName>,
    after: Option<(Timestamp, EventId)>,
    most: usize,
) -> Result<Vec<Row>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM event WHERE (accepted_at, id) > (?1, ?2) AND (?3 IS NULL OR function = ?3)
         ORDER BY accepted_at, id LIMIT ?4"
    ))?;
    let (accepted_at, id) = match after {
        Some((at, event)) => (at.as_microsecond(), event.0),
        None => (i64::MIN, Uuid::nil()),
    };
    let bounds = params![accepted_at, id.as_bytes(), function.map(FunctionName::as_str), limit(most)];
    select.query_map(bounds, Row::read)?.collect()
}

pub fn get(connection: &Connection, event: EventId) -> Result<Option<(Row, Content)>> {
    let mut select = connection.prepare_cached(&format!("SELECT {COLUMNS}, number FROM event WHERE id = ?1"))?;
    let found = select.query_row([event.0.as_bytes()], |row| Ok((Row::read(row)?, row.get(7)?))).optional()?;
    found.map(|(row, number)| Ok((row, content(connection, number)?))).transpose()
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
