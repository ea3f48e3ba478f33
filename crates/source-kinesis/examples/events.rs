//! What writing a record's event costs, in nanoseconds: `cargo run --release -p pelton-source-kinesis --example events`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for a terminal")]

use std::hint::black_box;

use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::Record;
use pelton_core::PartitionId;
use pelton_source_kinesis::EventWriter;
use tokio::time::Instant;

const RECORDS: usize = 10_000;
const ROUNDS: usize = 100;

fn main() {
    let stream = "arn:aws:kinesis:us-east-1:111111111111:stream/my-stream".parse().unwrap();
    let shard = PartitionId("shardId-000000000000".into());
    for size in [0, 100, 1_000, 10_000] {
        let record = |i: usize| {
            Record::builder()
                .sequence_number(format!("495903382714902566085596925383615710959215759891365{i:05}"))
                .partition_key(format!("customer-{i}"))
                .data(Blob::new(vec![b'x'; size]))
                .approximate_arrival_timestamp(DateTime::from_millis(1_545_084_650_987))
                .build()
                .unwrap()
        };
        let records: Vec<Record> = (0..RECORDS).map(record).collect();
        let start = Instant::now();
        for _ in 0..ROUNDS {
            let mut writer = EventWriter::new(&stream, &shard, "arn:aws:iam::111111111111:role/lambda-role").unwrap();
            let events: Vec<_> = records.iter().map(|record| writer.write(record).unwrap()).collect();
            black_box(events);
        }
        let each = start.elapsed().as_nanos() / (RECORDS * ROUNDS) as u128;
        println!("{size:>6} bytes of data: {each} ns a record");
    }
}
