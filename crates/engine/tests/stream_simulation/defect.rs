//! Things that a broken engine might do, done on purpose: the model must notice each of them.

/// One way to be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Read, and never shown to anybody.
    SkipsRecords,
    /// Records in the wrong order.
    ReordersRecords,
    /// The same record twice in one read.
    DeliversTwice,
    /// Reading ends for ever at some time.
    Hangs,
    /// A shard is read more than five times a second.
    ReadsTooOften,
    /// A shard doesn't wait for those that it came from.
    ReadsChildrenEarly,
    /// The checkpoint passes what isn't settled.
    MovesCheckpointTooFar,
    /// The checkpoint goes back.
    MovesCheckpointBack,
    /// The state of windows does not survive.
    ForgetsWindows,
    /// What lanes have settled does not survive, but the state of their windows does.
    ForgetsLanes,
    /// Execution records count as accepted but never were.
    LosesRecords,
    /// Records that the mapping filters out reach the function.
    IgnoresFilters,
    /// Batches above BatchSize.
    ExceedsBatchSize,
    /// More invocations of a shard than ParallelizationFactor.
    ExceedsFactor,
    /// Records above MaximumRecordAgeInSeconds reach the function.
    IgnoresAge,
    /// One retry more than MaximumRetryAttempts.
    RetriesOnceMore,
    /// Failing batches are never halved.
    NeverBisects,
    /// Windows are those of another length.
    StretchesWindows,
}
