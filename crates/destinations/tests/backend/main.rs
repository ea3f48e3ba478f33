//! Every kind of destination on real backends: what arrives there, and what is said when nothing can.

#[cfg(test)]
mod asynchronous;
#[cfg(test)]
mod bucket;
#[cfg(test)]
mod bus;
#[cfg(test)]
mod dead_letters;
#[cfg(test)]
mod function;
#[cfg(test)]
mod oversize;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod support;
#[cfg(test)]
mod topic;
#[cfg(test)]
mod trouble;
