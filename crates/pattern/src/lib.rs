//! The EventBridge pattern language as event source mappings use it: patterns are compiled once; an event is walked
//! once, and of it only what some pattern mentions is looked at. No I/O.

mod compile;
mod complexity;
mod event;
mod explain;
mod filters;
mod locate;
mod mend;
mod number;
mod operator;
mod pattern;
mod subject;
mod test;
mod wildcard;

pub use explain::Explanation;
pub use filters::{Decoding, EventError, Filters};
pub use pattern::{MAXIMUM_LENGTH, Pattern, PatternError};
