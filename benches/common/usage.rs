//! What a process, or the whole machine, has used, from `/proc`.

#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Seconds of CPU time, of all threads.
    pub cpu: f64,
    /// Bytes that it has caused to be written to disks.
    pub written: u64,
}

/// Clock ticks per second in `/proc`; the same on all Linux systems in use.
const TICKS: f64 = 100.0;

impl Usage {
    pub fn of(process: u32) -> Self {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}")).expect("a running process");
        let stat = read("stat");
        // The name, which may contain spaces, is in parentheses.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
        let io = read("io");
        let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("a number");
        Self { cpu: (ticks(11) + ticks(12)) / TICKS, written: written.parse().expect("a number") }
    }
}

/// Seconds of CPU time that the machine has used, by all processes and the kernel.
pub fn machine() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").expect("Linux");
    // user, nice, system, idle, iowait, irq, softirq
    let fields: Vec<f64> = stat.split_whitespace().skip(1).take(7).filter_map(|field| field.parse().ok()).collect();
    (fields.iter().sum::<f64>() - fields[3] - fields[4]) / TICKS
}
