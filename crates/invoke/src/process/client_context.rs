//! `X-Amz-Client-Context` on its way into `Lambda-Runtime-Client-Context`.
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::value::RawValue;

/// The JSON object in the caller's Base64, in characters that a header may hold: what isn't ASCII is escaped, a line
/// break between two values is a space. `None`: it is no such thing.
pub fn decode(base64: &str) -> Option<String> {
    let bytes = BASE64.decode(base64).ok()?;
    let json = serde_json::from_slice::<&RawValue>(&bytes).ok()?.get();
    json.starts_with('{').then(|| header_text(json))
}

/// In JSON a control character stands between values only, and one that isn't ASCII inside strings only.
fn header_text(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            ' '..='~' => text.push(character),
            '\t' | '\n' | '\r' => text.push(' '),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing into a String can't fail.
                    let _written = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn gives_the_object_as_it_is_where_a_header_can_hold_it() {
        for (json, expected) in [
            ("{\"custom\":  {\"n\":1.50}}", "{\"custom\":  {\"n\":1.50}}"),
            ("\n{\r\n\t\"a\": 1 }\n", "{   \"a\": 1 }"),
            ("{\"a\":\"é😀\u{7f}\"}", "{\"a\":\"\\u00e9\\ud83d\\ude00\\u007f\"}"),
        ] {
            assert_eq!(decode(&BASE64.encode(json)).as_deref(), Some(expected));
        }
    }

    #[test]
    fn anything_but_an_object_is_none() {
        for json in ["", "[]", "\"{}\"", "1", "null", "{", "{\"a\":1}{}"] {
            assert_eq!(decode(&BASE64.encode(json)), None, "{json}");
        }
        assert_eq!(decode("{}"), None);
        assert_eq!(decode("_-8="), None);
    }

    proptest! {
        #[test]
        fn the_text_means_the_same_and_is_a_header(key in "\\PC{0,8}", value in any::<String>()) {
            let mut object = serde_json::Map::new();
            object.insert(key, Value::String(value));
            let object = Value::Object(object);
            let text = decode(&BASE64.encode(serde_json::to_string_pretty(&object).unwrap())).unwrap();
            prop_assert!(axum::http::HeaderValue::from_str(&text).is_ok(), "{}", text);
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), object);
        }
    }
}
