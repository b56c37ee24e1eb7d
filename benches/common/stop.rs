//! Stops a server as its operator would.
use super::process::Process;

pub fn stop(mut process: Process) {
    let pid = rustix::process::Pid::from_child(&process.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a process");
    process.child.wait().expect("its end");
}
