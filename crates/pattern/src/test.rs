//! One test on one value.
use std::cmp::Ordering;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::event::Scalar;
use crate::number::Number;
use crate::wildcard::Wildcard;

#[derive(Debug, Clone)]
pub(crate) enum Test {
    Text(Text),
    Number(Number),
    Boolean(bool),
    Null,
    /// Every bound must hold.
    Numeric(Vec<Bound>),
    Cidr(IpNet),
    /// None of them.
    AnythingBut(Vec<Test>),
    Exists,
    /// About the place, not about a value: whether no value is there.
    Absent,
}

/// A test on a string.
#[derive(Debug, Clone)]
pub(crate) enum Text {
    Exactly(String),
    IgnoreCase(String),
    Prefix(String),
    PrefixIgnoreCase(String),
    Suffix(String),
    SuffixIgnoreCase(String),
    Wildcard(Wildcard),
}

/// `[">", 5]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub operator: Operator,
    pub value: Number,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Test {
    pub fn matches(&self, value: &Scalar<'_>) -> bool {
        match (self, value) {
            (Self::Text(test), Scalar::Text(text)) => test.matches(text),
            (Self::Number(wanted), Scalar::Number(number)) => wanted == number,
            (Self::Boolean(wanted), Scalar::Boolean(boolean)) => wanted == boolean,
            (Self::Null, Scalar::Null) | (Self::Exists, _) => true,
            (Self::Numeric(bounds), Scalar::Number(number)) => bounds.iter().all(|bound| bound.holds(*number)),
            (Self::Cidr(network), Scalar::Text(text)) => {
                text.parse().is_ok_and(|address: IpAddr| network.contains(&address))
            }
            (Self::AnythingBut(tests), value) => !tests.iter().any(|test| test.matches(value)),
            _ => false,
        }
    }
}

impl Text {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exactly(wanted) => wanted == text,
            Self::IgnoreCase(wanted) => folded(wanted).eq(folded(text)),
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::PrefixIgnoreCase(prefix) => starts_with(folded(text), folded(prefix)),
            Self::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Self::SuffixIgnoreCase(suffix) => {
                let backwards = |text| folded(text).collect::<Vec<_>>().into_iter().rev();
                starts_with(backwards(text), backwards(suffix))
            }
            Self::Wildcard(wildcard) => wildcard.matches(text),
        }
    }
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

fn starts_with(mut text: impl Iterator<Item = char>, mut prefix: impl Iterator<Item = char>) -> bool {
    prefix.all(|wanted| text.next() == Some(wanted))
}

impl Bound {
    fn holds(self, number: Number) -> bool {
        let Some(order) = number.compare(self.value) else { return false };
        match self.operator {
            Operator::Equal => order == Ordering::Equal,
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::Greater => order == Ordering::Greater,
            Operator::GreaterOrEqual => order != Ordering::Less,
        }
    }
}
