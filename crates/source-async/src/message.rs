//! An event as a message: its payload is the body, the rest are attributes.
use std::collections::HashMap;

use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use bytes::Bytes;
use pelton_core::{AsyncEvent, EventId, StoreError, TraceHeader};

const ID: &str = "PeltonRequestId";
const FUNCTION: &str = "PeltonFunction";
const TRACE: &str = "PeltonTrace";
const CLIENT_CONTEXT: &str = "PeltonClientContext";
const ACCEPTED_AT: &str = "PeltonAcceptedAt";
const DUE_AT: &str = "PeltonDueAt";
const ATTEMPTS: &str = "PeltonAttempts";
const REFUSALS: &str = "PeltonRefusals";
/// The type of all of them.
const TYPE: &str = "String";

/// What is sent to SQS.
#[derive(Debug)]
pub struct Outgoing {
    pub body: String,
    /// SQS takes ten (quota).
    pub attributes: Vec<(&'static str, String)>,
}

impl Outgoing {
    /// An event as a message of at most `limit` bytes.
    ///
    /// # Errors
    /// SQS could not keep the event.
    pub fn of(event: &AsyncEvent, limit: usize) -> Result<Self, StoreError> {
        let refused = |why: String| StoreError::Refused(format!("the event {} can't wait in SQS: {why}", event.id));
        let body = match std::str::from_utf8(&event.payload) {
            Ok("") => return Err(refused("its payload is empty".into())),
            Ok(body) => body.to_owned(),
            Err(error) => return Err(refused(format!("its payload is no UTF-8 from byte {} on", error.valid_up_to()))),
        };
        if let Some((place, character)) = body.char_indices().find(|(_, character)| !is_allowed(*character)) {
            let character = character.escape_unicode();
            return Err(refused(format!(
                "its payload has the character {character} at byte {place}, which SQS refuses: write it as an escape of JSON's"
            )));
        }
        let mut attributes = vec![
            (ID, event.id.to_string()),
            (FUNCTION, event.function.to_string()),
            (TRACE, event.trace.to_string()),
            (ACCEPTED_AT, event.accepted_at.to_string()),
            (DUE_AT, event.due_at.to_string()),
            (ATTEMPTS, event.attempts.to_string()),
            (REFUSALS, event.refusals.to_string()),
        ];
        // SQS refuses an empty value.
        attributes.extend(event.client_context.clone().filter(|it| !it.is_empty()).map(|it| (CLIENT_CONTEXT, it)));
        let outgoing = Self { body, attributes };
        let size = outgoing.size();
        if size > limit {
            return Err(refused(format!(
                "with its attributes it has {size} bytes, and the queue takes {limit}: raise the queue's \
                 MaximumMessageSize (1,048,576 at most), or let the payload name an object in S3"
            )));
        }
        Ok(outgoing)
    }

    /// As SQS counts: the body, and each attribute's name, type and value.
    fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + TYPE.len() + value.len());
        self.body.len() + attributes.sum::<usize>()
    }
}

/// What SQS takes in a message (API reference of SendMessage).
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// An attribute as the SDK has it. Always there, as it has a type.
pub fn attribute(value: String) -> Option<MessageAttributeValue> {
    MessageAttributeValue::builder().data_type(TYPE).string_value(value).build().ok()
}

/// A message that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// SQS's id of the message.
    pub message: String,
    /// What deletes it, until it is received again.
    pub receipt: String,
    /// How often it was received, this time included.
    pub receives: u32,
}

impl Copy {
    /// `None`: SQS left out what every message has.
    pub fn of(message: &Message) -> Option<Self> {
        use aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateReceiveCount;
        let receives = message.attributes().and_then(|it| it.get(&ApproximateReceiveCount)?.parse().ok());
        Some(Self {
            message: message.message_id()?.to_owned(),
            receipt: message.receipt_handle()?.to_owned(),
            receives: receives.unwrap_or(1),
        })
    }
}

/// The event of a message.
///
/// # Errors
/// Why it is no event of Pelton's.
pub fn event(message: &Message) -> Result<AsyncEvent, String> {
    let empty = HashMap::new();
    let attributes = message.message_attributes().unwrap_or(&empty);
    let optional = |name: &'static str| attributes.get(name).and_then(MessageAttributeValue::string_value);
    let text = |name: &'static str| optional(name).ok_or_else(|| format!("it has no attribute {name}"));
    fn parse<T: std::str::FromStr>(name: &str, text: Result<&str, String>) -> Result<T, String> {
        let text = text?;
        text.parse().map_err(|_| format!("its attribute {name} can't be read: '{text}'"))
    }
    Ok(AsyncEvent {
        id: EventId(parse(ID, text(ID))?),
        function: parse(FUNCTION, text(FUNCTION))?,
        payload: Bytes::copy_from_slice(message.body().unwrap_or_default().as_bytes()),
        client_context: optional(CLIENT_CONTEXT).map(str::to_owned),
        trace: TraceHeader::received(Some(text(TRACE)?)),
        accepted_at: parse(ACCEPTED_AT, text(ACCEPTED_AT))?,
        attempts: parse(ATTEMPTS, text(ATTEMPTS))?,
        refusals: parse(REFUSALS, text(REFUSALS))?,
        due_at: parse(DUE_AT, text(DUE_AT))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pelton_testkit::event_queue_suite::{new_event, new_function};
    use proptest::prelude::*;

    const LIMIT: usize = 262_144;

    /// As SQS gives it back.
    fn received(outgoing: &Outgoing) -> Message {
        let attributes = outgoing.attributes.iter().map(|(name, value)| {
            let value = attribute(value.clone()).unwrap();
            ((*name).to_owned(), value)
        });
        let message = Message::builder().body(&outgoing.body).set_message_attributes(Some(attributes.collect()));
        message.build()
    }

    fn refused(event: &AsyncEvent, limit: usize) -> String {
        let id = event.id.to_string();
        Outgoing::of(event, limit).unwrap_err().to_string().replace(&id, "ID")
    }

    #[test]
    fn what_sqs_can_not_keep_is_refused_in_words() {
        let event = new_event(&new_function(), 1);
        let of = |payload: &'static [u8]| AsyncEvent { payload: Bytes::from_static(payload), ..event.clone() };
        assert_eq!(
            refused(&of("\"é\u{ffff}\"".as_bytes()), LIMIT),
            "the event ID can't wait in SQS: its payload has the character \\u{ffff} at byte 3, which SQS refuses: write it \
             as an escape of JSON's"
        );
        assert!(refused(&of(b"{\x00}"), LIMIT).contains("the character \\u{0} at byte 1"));
        assert_eq!(
            refused(&of(b"\"\xff\""), LIMIT),
            "the event ID can't wait in SQS: its payload is no UTF-8 from byte 1 on"
        );
        assert_eq!(refused(&of(b""), LIMIT), "the event ID can't wait in SQS: its payload is empty");
        let size = Outgoing::of(&event, LIMIT).unwrap().size();
        assert!(Outgoing::of(&event, size).is_ok());
        assert_eq!(
            refused(&event, size - 1),
            format!(
                "the event ID can't wait in SQS: with its attributes it has {size} bytes, and the queue takes {}: raise the \
                 queue's MaximumMessageSize (1,048,576 at most), or let the payload name an object in S3",
                size - 1
            )
        );
    }

    #[test]
    fn a_message_of_somebody_else_is_told_from_an_event() {
        let foreign = Message::builder().body("{}").build();
        assert_eq!(super::event(&foreign), Err("it has no attribute PeltonRequestId".into()));
        let mut outgoing = Outgoing::of(&new_event(&new_function(), 1), LIMIT).unwrap();
        let attempts = outgoing.attributes.iter_mut().find(|(name, _)| *name == ATTEMPTS).unwrap();
        attempts.1 = "-1".into();
        assert_eq!(super::event(&received(&outgoing)), Err("its attribute PeltonAttempts can't be read: '-1'".into()));
    }

    proptest! {
        #[test]
        fn an_event_is_the_same_behind_the_queue(
            text in any::<String>(), context in prop::option::of("[A-Za-z0-9+/]{1,40}"), counts in any::<(u32, u32)>(),
            due_at in 0..4_000_000_000_i64,
        ) {
            let event = AsyncEvent {
                payload: Bytes::from(serde_json::to_vec(&text).unwrap()),
                client_context: context,
                attempts: counts.0,
                refusals: counts.1,
                due_at: jiff::Timestamp::new(due_at, 123_456_789).unwrap(),
                ..new_event(&new_function(), 1)
            };
            match Outgoing::of(&event, LIMIT) {
                Ok(outgoing) => {
                    prop_assert!(outgoing.attributes.len() <= 10);
                    prop_assert_eq!(super::event(&received(&outgoing)), Ok(event));
                }
                Err(_) => {
                    let is_refused_by_sqs = text.contains(['\u{fffe}', '\u{ffff}']);
                    prop_assert!(is_refused_by_sqs);
                }
            }
        }
    }
}
