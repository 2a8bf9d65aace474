//! What the system reports about this process, by the names that all Prometheus clients use.

use jiff::Timestamp;
use procfs::process::{LimitValue, Process};

use super::text::Kind::{Counter, Gauge};
use super::text::Text;

/// What the system does not report is left out.
pub(super) fn write(text: &mut Text, started_at: Timestamp) {
    let name = "process_start_time_seconds";
    let help = "Start time of the process since the Unix epoch in seconds.";
    text.single(name, Gauge, help, started_at.as_duration().as_secs_f64());
    // Below /proc/self alone: the unit of systemd hides the rest.
    let Ok(process) = Process::myself() else { return };
    if let Ok(stat) = process.stat() {
        let seconds = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
        let help = "Total user and system CPU time spent in seconds.";
        text.single("process_cpu_seconds_total", Counter, help, seconds);
        let resident = stat.rss.saturating_mul(procfs::page_size());
        let help = "Resident memory size in bytes.";
        text.single("process_resident_memory_bytes", Gauge, help, resident);
        let help = "Virtual memory size in bytes.";
        text.single("process_virtual_memory_bytes", Gauge, help, stat.vsize);
        let help = "Number of threads in the process.";
        text.single("process_threads", Gauge, help, stat.num_threads);
    }
    if let Ok(open) = process.fd_count() {
        let help = "Number of open file descriptors.";
        text.single("process_open_fds", Gauge, help, open);
    }
    if let Ok(limits) = process.limits()
        && let LimitValue::Value(most) = limits.max_open_files.soft_limit
    {
        let help = "Maximum number of open file descriptors.";
        text.single("process_max_fds", Gauge, help, most);
    }
}
