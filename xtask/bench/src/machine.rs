//! What the figures were measured on.
use std::fs::read_to_string;

use tokio::process::Command;

/// Processor, cores, memory, kernel, Python and load, in a line.
pub async fn describe() -> String {
    let cpu = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = read_to_string("/proc/meminfo").unwrap_or_default();
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "{}, {cores} cores, {} memory, Linux {}, {}, load before the run {}",
        value(&cpu, "model name").unwrap_or("unknown processor"),
        value(&memory, "MemTotal").and_then(gibibytes).unwrap_or_else(|| "unknown".into()),
        kernel.trim(),
        python().await,
        load.split(' ').next().unwrap_or("unknown"),
    )
}

async fn python() -> String {
    let output = Command::new("python3").arg("--version").output().await;
    output.map_or_else(|_| "no python3".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = text.lines().find(|line| line.starts_with(name))?.split_once(':')?;
    Some(value.trim())
}

fn gibibytes(kibibytes: &str) -> Option<String> {
    let kibibytes: u64 = kibibytes.strip_suffix(" kB")?.parse().ok()?;
    Some(format!("{} GiB", (kibibytes + 512 * 1_024) / (1_024 * 1_024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_says() {
        assert_eq!(value("a: 1\nmodel name\t: AMD EPYC\n", "model name"), Some("AMD EPYC"));
        assert_eq!(value("a: 1\n", "model name"), None);
        assert_eq!(gibibytes("24576000 kB").as_deref(), Some("23 GiB"));
    }
}
