//! One file a command.

pub mod check;
pub mod checkpoint;
pub mod completions;
pub mod events;
pub mod filter;
pub mod invoke;
pub mod replay;
pub mod run;
pub mod schema;
pub mod status;
pub mod test;
pub mod version;
