//! The source on real backends: AWS's own DynamoDB Local, and MiniStack.

#[cfg(test)]
mod end;
#[cfg(test)]
mod events;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod support;
