//! Lower scheduling priority for threads whose work no call waits for.
use std::cell::Cell;

/// Increment of the nice value: beside a thread that serves calls such a thread gets a quarter of a shared
/// core, several times what telemetry and feedback of a saturated core need.
const NICE_INCREMENT: i32 = 5;

/// Lowers the priority of the current thread, once. Without it, each batch of spans that is assembled delays
/// a call or two by a time slice of the scheduler.
pub fn lower() {
    thread_local!(static IS_LOWERED: Cell<bool> = const { Cell::new(false) });
    // On other systems nice() applies to the whole process.
    if cfg!(target_os = "linux") && !IS_LOWERED.replace(true) {
        let _unchanged_if_refused = rustix::process::nice(NICE_INCREMENT);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;
    use std::thread;

    #[test]
    fn lowers_the_priority_of_one_thread_once() {
        let before = getpriority_process(None).expect("is known");
        let lowered = thread::spawn(|| {
            lower();
            lower();
            getpriority_process(None).expect("is known")
        });
        assert_eq!(lowered.join().expect("ends"), before + NICE_INCREMENT);
        assert_eq!(getpriority_process(None).expect("is known"), before);
    }
}
