//! Background: threads for whose work nobody waits.
use std::cell::Cell;

/// By how much such a thread is nicer than one that answers calls: where they share a core it gets a quarter of it, which is several
/// times what telemetry and feedback of a saturated core need.
const NICER: i32 = 5;

/// Lets calls go first: from now on this thread takes less of a core that it shares. Without it, each batch of spans that was
/// put together held up a call or two for a scheduler's slice.
pub fn step_back() {
    thread_local!(static IS_BACK: Cell<bool> = const { Cell::new(false) });
    // Elsewhere the whole process would step back.
    if cfg!(target_os = "linux") && !IS_BACK.replace(true) {
        let _as_it_was = rustix::process::nice(NICER); // refused, it is as it was
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;
    use std::thread;

    #[test]
    fn a_thread_steps_back_once_and_alone() {
        let before = getpriority_process(None).expect("is told");
        let nicer = thread::spawn(|| {
            step_back();
            step_back();
            getpriority_process(None).expect("is told")
        });
        assert_eq!(nicer.join().expect("ends"), before + NICER);
        assert_eq!(getpriority_process(None).expect("is told"), before);
    }
}
