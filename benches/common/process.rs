//! What a process costs, from `/proc`.

use std::time::Duration;

/// Clock ticks a second in `/proc`; a constant of Linux's interface to user space.
const TICKS: f64 = 100.0;

/// CPU time of a process, or of one of its threads (`self/task/7`).
pub(crate) fn cpu(process: &str) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in brackets may hold blanks; user and system time are the 12th and 13th field after it.
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(Duration::from_secs_f64(ticks / TICKS))
}

/// Resident memory in MiB.
pub(crate) fn resident(process: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib / 1024.0)
}
