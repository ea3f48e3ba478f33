//! The line of one function: takes its events from the queue as there is room for them, and has them worked on.
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use pelton_core::{ErrorKind, FunctionName, InvokeError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::Backoff;
use crate::events::EventPlan;
use crate::events::pace::{MOST_TAKEN, Pace};
use crate::events::work::{Done, Shared, Work};
use crate::idle::idle;
use crate::status::{EventWatch, Part};

const TROUBLE_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_TROUBLE_PAUSE: Duration = Duration::from_secs(30);
/// The queue is looked into so often while events wait for their time: the machine's clock may be set.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// The line of one function.
pub(crate) struct Line {
    shared: Arc<Shared>,
    function: FunctionName,
    watch: Arc<EventWatch>,
    woken: mpsc::Receiver<()>,
    works: JoinSet<Done>,
    pace: Pace,
    /// How many slots to take at a time: twice as many while there is an event for each, so that few are held in vain.
    slots_wanted: usize,
    /// When the next event is due.
    next: Option<Timestamp>,
    /// Of lookups, takes, and restarts.
    backoff: Backoff,
}

/// What a take works with.
struct Ready {
    plan: Arc<Result<EventPlan, InvokeError>>,
    /// One for each event, where the function has slots.
    permits: Vec<OwnedSemaphorePermit>,
    most: usize,
}

/// What a take came to.
#[derive(PartialEq, Eq)]
enum Taken {
    /// There may be more.
    More,
    /// What remains is not due.
    AllDue,
}

impl Line {
    /// A line, and what wakes it: a send, or the fact that one is waiting already.
    pub fn new(shared: Arc<Shared>, function: FunctionName, watch: Arc<EventWatch>) -> (Self, mpsc::Sender<()>) {
        let (wake, woken) = mpsc::channel(1);
        let pace = Pace::new(shared.delay_scale);
        let backoff = Backoff::new(TROUBLE_PAUSE, LONGEST_TROUBLE_PAUSE);
        let works = JoinSet::new();
        let line = Self { shared, function, watch, woken, works, pace, slots_wanted: 1, next: None, backoff };
        (line, wake)
    }

    /// Its function.
    pub fn function(&self) -> &FunctionName {
        &self.function
    }

    /// Whether it was woken since it last looked into the queue.
    pub fn is_woken(&mut self) -> bool {
        self.woken.try_recv().is_ok()
    }

    /// Works until nothing is left, or until shutdown and until all that runs has ended. A panic doesn't end it: what
    /// runs goes on meanwhile.
    pub async fn run(mut self) -> Self {
        while AssertUnwindSafe(self.work()).catch_unwind().await.is_err() {
            tracing::error!(function = %self.function, "the line of a function's asynchronous events panicked, starting it again");
            self.watch.trouble(Part::Store, "internal error: a panic");
            self.pause().await;
        }
        self
    }

    async fn work(&mut self) {
        while !self.shared.shutdown.is_cancelled() {
            if self.take().await == Taken::AllDue && !self.wait().await {
                return;
            }
        }
        while let Some(done) = self.works.join_next().await {
            self.note(done);
        }
    }

    /// Takes what is due and what there is room for.
    async fn take(&mut self) -> Taken {
        let Some(room) = self.room().await else { return Taken::More };
        let Some(ready) = self.ready(room).await else { return Taken::More };
        let Ready { plan, mut permits, most } = ready;
        self.is_woken();
        let known = self.watch.known();
        let due = match self.shared.queue.take(&self.function, self.shared.clock.now(), most).await {
            Ok(due) => due,
            Err(error) => {
                if self.watch.trouble(Part::Store, &error.to_string()) {
                    tracing::warn!(function = %self.function, %error, "asynchronous events can't be taken, trying again");
                }
                drop(permits);
                self.pause().await;
                return Taken::More;
            }
        };
        self.watch.works(Part::Store);
        self.backoff.reset();
        let taken = due.events.len();
        for event in due.events {
            let (shared, watch, plan, permit) = (self.shared.clone(), self.watch.clone(), plan.clone(), permits.pop());
            let work = Work { shared, watch, plan, event, permit };
            self.works.spawn(self.shared.working.track_future(work.run()));
        }
        self.next = due.next;
        let is_full = taken >= most;
        self.slots_wanted = if is_full { (most * 2).min(MOST_TAKEN) } else { 1 };
        if self.is_over() {
            self.watch.found_none(known);
        }
        if is_full { Taken::More } else { Taken::AllDue }
    }

    /// Waits until there is room for events, and says how much. `None`: look again.
    async fn room(&mut self) -> Option<usize> {
        while let Some(done) = self.works.try_join_next() {
            self.note(done);
        }
        let room = self.pace.most().saturating_sub(self.works.len());
        let resumes_at = self.pace.resumes_at(Instant::now());
        if room > 0 && resumes_at.is_none() {
            return Some(room);
        }
        let resumed = async {
            match resumes_at {
                Some(at) if room > 0 => tokio::time::sleep_until(at).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.shared.shutdown.cancelled() => {}
            Some(done) = self.works.join_next() => self.note(done),
            () = resumed => {}
        }
        None
    }

    /// Gets what a take needs: the plan, and slots if the function has some. The plan is never older than the wait for a
    /// slot. `None`: look again.
    async fn ready(&mut self, room: usize) -> Option<Ready> {
        let shutdown = self.shared.shutdown.clone();
        let mut waited: Option<(Arc<Semaphore>, OwnedSemaphorePermit)> = None;
        loop {
            let plan = match shutdown.run_until_cancelled(self.shared.plans.plan(&self.function)).await? {
                Ok(plan) => plan,
                Err(error) if matches!(error.kind, ErrorKind::Missing | ErrorKind::Payload) => {
                    return Some(Ready { plan: Arc::new(Err(error)), permits: Vec::new(), most: room });
                }
                Err(error) => {
                    if self.watch.trouble(Part::Listing, &error.to_string()) {
                        tracing::warn!(%error, "a function can't be looked up, its asynchronous events wait");
                    }
                    drop(waited);
                    self.pause().await;
                    return None;
                }
            };
            self.watch.works(Part::Listing);
            let Some(slots) = plan.invoker.slots(&self.function) else {
                return Some(Ready { plan: Arc::new(Ok(plan)), permits: Vec::new(), most: room });
            };
            // A permit of slots that are no longer the function's is worth nothing.
            let held = waited.take().filter(|(of, _)| Arc::ptr_eq(of, &slots)).map(|(_, permit)| permit);
            let mut permits: Vec<OwnedSemaphorePermit> = held.into_iter().collect();
            while permits.len() < room.min(self.slots_wanted) {
                let Ok(permit) = slots.clone().try_acquire_owned() else { break };
                permits.push(permit);
            }
            if !permits.is_empty() {
                let most = permits.len();
                return Some(Ready { plan: Arc::new(Ok(plan)), permits, most });
            }
            match shutdown.run_until_cancelled(slots.clone().acquire_owned()).await? {
                Ok(permit) => waited = Some((slots, permit)),
                // Closed: its invoker is being replaced.
                Err(_) => {
                    self.pause().await;
                    return None;
                }
            }
        }
    }

    /// Waits until events may be due. False: nothing is left to wait for.
    async fn wait(&mut self) -> bool {
        loop {
            if self.is_over() {
                return false;
            }
            let due = self.next.map(|at| {
                let left = Duration::try_from(at.duration_since(self.shared.clock.now())).unwrap_or_default();
                tokio::time::sleep(left.clamp(SHORTEST_WAIT, LONGEST_WAIT))
            });
            let due = async {
                match due {
                    Some(due) => due.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.shared.shutdown.cancelled() => return true,
                Some(()) = self.woken.recv() => return true,
                Some(done) = self.works.join_next() => self.note(done),
                () = due => return true,
            }
        }
    }

    fn is_over(&self) -> bool {
        self.works.is_empty() && self.next.is_none()
    }

    /// Takes note of an event that is no longer worked on.
    fn note(&mut self, done: Result<Done, JoinError>) {
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(function = %self.function, %error, "an asynchronous event was lost sight of, until the next start");
                return;
            }
        };
        self.pace.note(done.asked, Instant::now());
        self.next = match (self.next, done.due_at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    async fn pause(&mut self) {
        idle(self.backoff.next_delay(), &self.shared.shutdown).await;
    }
}
