//! A queue in a real backend, with one replica or several.

#[cfg(test)]
mod engine;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod single;
#[cfg(test)]
mod support;
