//! The source against an endpoint that behaves as AWS does, down to what backends don't have.

#[cfg(test)]
mod listing;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod server;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod support;
#[cfg(test)]
mod trouble;
