//! `pelton.yaml`: reading, validation with positions, JSON Schema. The types in `wire` say which fields exist; from them
//! comes the schema, by the schema every value of the document is checked, and what a schema can't say follows in
//! `mapping`, `stream`, `destination`, `function`, `asynchronous`, `authentication` and `state`. All problems of a file are
//! found at once, each with its place.

mod api;
mod asynchronous;
mod authentication;
mod configuration;
mod destination;
mod event_source;
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
mod starting_position;
mod state;
mod stream;
mod test;
mod wire;
mod yaml;

pub use api::check_mapping;
pub use authentication::{AccessKey, Authentication, Principal, SecretAccessKey};
pub use configuration::{
    Configuration, DEFAULT_GRACE_PERIOD, DEFAULT_LEASE_RENEWAL, DEFAULT_LISTEN, DEFAULT_STATE_FILE, Endpoints,
    FilterTest, Function, FunctionSettings, Program, Runtime, State, TestEvent,
};
pub use load::{LoadError, Loaded, load, load_text};
pub use problem::Problem;
pub use schema::schema;
