//! What 500 mappings cost while nothing happens.
use std::time::Duration;

use anyhow::Context as _;

use crate::Extent;
use crate::backend::Backend;
use crate::pelton::{NO_OPERATION, Setup};
use crate::row::{Goal, Row};

/// Linux counts processor time for other processes in hundredths of a second.
const TICKS_A_SECOND: f64 = 100.0;

/// Memory and processor time of one Pelton with nothing to do.
pub async fn idle(backend: &Backend, extent: &Extent) -> anyhow::Result<Vec<Row>> {
    let queues = backend.queues(extent.mappings).await?;
    let setup = Setup::new(&backend.endpoint, &queues, NO_OPERATION, 1)?;
    let mut pelton = setup.start()?;
    pelton.wait_until_enabled(queues.len()).await?;
    tokio::time::sleep(extent.settle).await;
    let process = pelton.id()?;
    let before = processor_seconds(process)?;
    tokio::time::sleep(extent.watch).await;
    let busy = processor_seconds(process)? - before;
    let memory = resident_mebibytes(process)?;
    pelton.stop().await?;
    backend.remove(&queues).await?;
    let row = |what: &str, measured, unit, goal| {
        let what = format!("{what} with {} idle mappings on {}", queues.len(), backend.name);
        Row { what, measured, unit, compared: None, goal }
    };
    Ok(vec![
        row("resident memory", memory, "MiB", Goal::AtMost(80.0)),
        row("processor time", 100.0 * busy / Duration::as_secs_f64(&extent.watch), "% of one core", Goal::AtMost(2.0)),
    ])
}

pub fn processor_seconds(process: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    ticks(&stat).map(|ticks| ticks as f64 / TICKS_A_SECOND).context("/proc/PID/stat can't be read")
}

/// `utime` and `stime`, the 14th and 15th field. The 2nd is the program's name, which may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

pub fn resident_mebibytes(process: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number")?;
    Ok(kibibytes / 1_024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_processor_time_whatever_the_program_is_called() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 113 0 0 0 250 50 0 0 20 0 3 0 99 1 2";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("nonsense"), None);
    }

    #[test]
    fn reads_this_process() {
        assert!(resident_mebibytes(std::process::id()).unwrap() > 0.5);
        assert!(processor_seconds(std::process::id()).unwrap() >= 0.0);
    }
}
