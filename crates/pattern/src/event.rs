//! An event as far as patterns mention it: everything else is skipped while it is read, and strings aren't copied
//! unless they hold escapes.
use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::number::Number;
use crate::pattern::{Fields, Rule};

/// What patterns mention of a place in an event.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mentioned {
    /// Its value is looked at.
    pub value: bool,
    pub fields: Vec<(String, Mentioned)>,
}

impl Mentioned {
    pub fn add(&mut self, fields: &Fields) {
        for (name, rule) in &fields.fields {
            match rule {
                Rule::Leaf(_) => self.field(name).value = true,
                Rule::Object(inner) => self.field(name).add(inner),
            }
        }
        for choice in fields.choices.iter().flatten() {
            self.add(choice);
        }
    }

    pub fn field(&mut self, name: &str) -> &mut Self {
        let index = self.fields.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.fields.push((name.to_owned(), Self::default()));
            self.fields.len() - 1
        });
        &mut self.fields[index].1
    }

    pub fn get(&self, name: &str) -> Option<&Self> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, mentioned)| mentioned)
    }

    /// Along a key of an event, which may hold dots: `a.b` is `b` in `a`.
    fn along(&self, key: &str) -> Option<&Self> {
        self.get(key).or_else(|| key.split('.').try_fold(self, |place, name| place.get(name)))
    }

    /// Reads an event. An error means that it isn't JSON, or nests too deep where it is looked at.
    pub fn read<'e>(&self, event: &'e [u8]) -> Result<Json<'e>, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(event);
        let json = Reader(self).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(json)
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Json<'e> {
    Scalar(Scalar<'e>),
    List(Vec<Json<'e>>),
    Object(Vec<(Cow<'e, str>, Json<'e>)>),
}

/// A value that tests look at.
#[derive(Debug, Clone)]
pub(crate) enum Scalar<'e> {
    Null,
    Boolean(bool),
    Number(Number),
    Text(Cow<'e, str>),
}

impl<'e> Json<'e> {
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().rev().find(|(known, _)| known == name).map(|(_, json)| json),
            _ => None,
        }
    }

    /// The scalar itself, or those in a list, however nested. Objects in between are none.
    pub fn any_scalar(&self, test: &mut impl FnMut(&Scalar<'e>) -> bool) -> bool {
        match self {
            Self::Scalar(scalar) => test(scalar),
            Self::List(items) => items.iter().any(|item| item.any_scalar(test)),
            Self::Object(_) => false,
        }
    }

    /// Whether some value, however deep in lists, stands at a path.
    pub fn has_value_at(&self, path: &[String]) -> bool {
        match (self, path) {
            (Self::List(items), _) => items.iter().any(|item| item.has_value_at(path)),
            (Self::Scalar(_), []) => true,
            (Self::Object(_), [name, rest @ ..]) => self.get(name).is_some_and(|json| json.has_value_at(rest)),
            _ => false,
        }
    }

    fn nested(path: &str, json: Self) -> Self {
        let mut fields = Vec::new();
        Self::put(&mut fields, path, json);
        Self::Object(fields)
    }

    fn put(fields: &mut Vec<(Cow<'e, str>, Self)>, path: &str, json: Self) {
        match path.split_once('.') {
            None => fields.push((Cow::Owned(path.to_owned()), json)),
            Some((name, rest)) => {
                let known = fields.iter_mut().rev().find(|(known, _)| known == name);
                match known.map(|(_, known)| known) {
                    Some(Self::Object(inner)) => Self::put(inner, rest, json),
                    // Both are seen, as two elements of a list are.
                    Some(Self::List(items)) => items.push(Self::nested(rest, json)),
                    Some(other) => {
                        let scalar = std::mem::replace(other, Self::List(Vec::new()));
                        *other = Self::List(vec![scalar, Self::nested(rest, json)]);
                    }
                    None => fields.push((Cow::Owned(name.to_owned()), Self::nested(rest, json))),
                }
            }
        }
    }
}

/// Reads one value, given what of it is mentioned.
struct Reader<'m>(&'m Mentioned);

impl<'e> DeserializeSeed<'e> for Reader<'_> {
    type Value = Json<'e>;

    fn deserialize<D: Deserializer<'e>>(self, deserializer: D) -> Result<Json<'e>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'e> Visitor<'e> for Reader<'_> {
    type Value = Json<'e>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'e>, E> {
        Ok(Json::Scalar(Scalar::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'e>, E> {
        Ok(Json::Scalar(Scalar::Boolean(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'e>, E> {
        Ok(Json::Scalar(Scalar::Number(Number::Whole(value.into()))))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'e>, E> {
        Ok(Json::Scalar(Scalar::Number(Number::Whole(value.into()))))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'e>, E> {
        Ok(Json::Scalar(Scalar::Number(Number::from_f64(value))))
    }

    fn visit_borrowed_str<E>(self, text: &'e str) -> Result<Json<'e>, E> {
        Ok(Json::Scalar(Scalar::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'e>, E> {
        // What nothing looks at needs no copy.
        let text = if self.0.value || !self.0.fields.is_empty() { text.to_owned() } else { String::new() };
        Ok(Json::Scalar(Scalar::Text(Cow::Owned(text))))
    }

    fn visit_seq<A: SeqAccess<'e>>(self, mut items: A) -> Result<Json<'e>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Reader(self.0))? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'e>>(self, mut entries: A) -> Result<Json<'e>, A::Error> {
        let mut fields = Vec::new();
        let mut dotted = Vec::new();
        while let Some(Key(key)) = entries.next_key()? {
            match self.0.along(&key) {
                None => {
                    entries.next_value::<IgnoredAny>()?;
                }
                Some(mentioned) => {
                    let json = entries.next_value_seed(Reader(mentioned))?;
                    if key.contains('.') { dotted.push((key, json)) } else { fields.push((key, json)) }
                }
            }
        }
        for (key, json) in dotted {
            Json::put(&mut fields, &key, json);
        }
        Ok(Json::Object(fields))
    }
}

/// A key, borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
struct Key<'e>(#[serde(borrow)] Cow<'e, str>);
