//! x
use crate::shell::{Result, Shell};
pub(crate) fn check(_: &Shell) -> Result {
    Ok(())
}
