use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pelton_core::{
    Cursor, Disposition, PartitionId, Polled, Receipt, Record, Redelivery, Source, SourceError, Unsettled,
};

/// One shard that never forgets, with a checkpoint that must move by one record at a time.
#[derive(Debug)]
pub struct FakeShard {
    length: usize,
    settled: Mutex<Vec<(usize, Disposition)>>,
}

impl FakeShard {
    /// A closed shard of `length` records, numbered from 0.
    pub fn new(length: usize) -> Self {
        Self { length, settled: Mutex::default() }
    }

    /// How far the checkpoint is.
    pub fn checkpoint(&self) -> usize {
        self.settled().len()
    }

    /// Every record that was settled, in order, and how.
    pub fn settled(&self) -> Vec<(usize, Disposition)> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Source for FakeShard {
    fn redelivery(&self) -> Redelivery {
        Redelivery::ByEngine
    }

    async fn poll(
        &self,
        _partition: &PartitionId,
        cursor: &mut Cursor,
        max_records: usize,
        _wait: Duration,
    ) -> Result<Polled, SourceError> {
        let from = match &cursor.0 {
            Some(at) => at.parse().unwrap_or(0),
            None => self.checkpoint(),
        };
        let to = self.length.min(from + max_records);
        cursor.0 = Some(to.to_string());
        let record = |number: usize| Record {
            id: number.to_string(),
            receipt: Receipt(number.to_string()),
            order_key: None,
            receive_count: 1,
            event: Bytes::from(format!("{{\"messageId\":\"{number}\"}}")),
        };
        Ok(Polled {
            records: (from..to).map(record).collect(),
            pause: Duration::from_millis(200),
            ended: to == self.length,
            ..Polled::default()
        })
    }

    async fn settle(
        &self,
        _partition: &PartitionId,
        settled: &[(Receipt, Disposition)],
    ) -> Result<Vec<Unsettled>, SourceError> {
        let mut all = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        for (receipt, disposition) in settled {
            assert_eq!(receipt.0, all.len().to_string(), "the checkpoint must move by one, in order");
            let number = all.len();
            all.push((number, *disposition));
        }
        Ok(Vec::new())
    }
}
