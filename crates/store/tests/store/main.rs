//! The stores: what all of them promise, and what is each one's own.

#[cfg(test)]
mod documents;
#[cfg(test)]
mod dynamodb;
#[cfg(test)]
mod events;
#[cfg(test)]
mod events_file;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod killed_events;
#[cfg(test)]
mod model;
#[cfg(test)]
mod sqlite_file;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod support;
