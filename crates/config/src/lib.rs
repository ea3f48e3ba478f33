//! `pelton.yaml`: reading, validation with positions, JSON Schema. The types in `wire` say which fields exist; from them
//! comes the schema, by the schema every value of the document is checked, and what a schema can't say follows in
//! `mapping`, `destination` and `function`. All problems of a file are found at once, each with its place.

mod configuration;
mod destination;
mod expand;
mod function;
mod load;
mod mapping;
mod problem;
mod read;
mod refused;
mod region;
mod schema;
mod section;
mod test;
mod wire;
mod yaml;

pub use configuration::{
    Configuration, DEFAULT_GRACE_PERIOD, DEFAULT_LISTEN, Endpoints, FilterTest, Function, Program, Runtime, TestEvent,
};
pub use load::{LoadError, Loaded, load, load_text};
pub use problem::Problem;
pub use schema::schema;
