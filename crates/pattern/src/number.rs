//! Numbers compared by value: `300`, `300.0` and `3e2` are one.
use std::cmp::Ordering;
use std::fmt;

/// A JSON number. Whole ones are kept exact.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    Whole(i128),
    Real(f64),
}

/// Within this, a 64-bit float holds whole numbers exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Number {
    pub fn from_f64(value: f64) -> Self {
        // The cast is exact: whole and within range.
        if value.fract() == 0.0 && value.abs() <= EXACT { Self::Whole(value as i128) } else { Self::Real(value) }
    }

    pub fn from_json(number: &serde_json::Number) -> Self {
        match (number.as_i128(), number.as_f64()) {
            (Some(whole), _) => Self::Whole(whole),
            (None, Some(real)) => Self::from_f64(real),
            // No JSON number is neither.
            (None, None) => Self::Real(f64::NAN),
        }
    }

    pub fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => Some(one.cmp(&other)),
            _ => self.as_f64().partial_cmp(&other.as_f64()),
        }
    }

    fn as_f64(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(whole) => whole.fmt(formatter),
            Self::Real(real) => real.fmt(formatter),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.compare(*other) == Some(Ordering::Equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::from_json(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn compares_by_value() {
        for (one, other) in [("300", "300.0"), ("300", "3e2"), ("-0", "0"), ("-0.0", "0"), ("0.1", "1e-1")] {
            assert_eq!(number(one), number(other));
        }
        for (less, more) in
            [("1", "1.5"), ("-2", "-1"), ("18446744073709551614", "18446744073709551615"), ("1e300", "1e301")]
        {
            assert_eq!(number(less).compare(number(more)), Some(Ordering::Less), "{less} < {more}");
        }
    }

    #[test]
    fn neighbours_beyond_the_precision_of_floats_differ() {
        assert_ne!(number("9007199254740993"), number("9007199254740992"));
    }
}
