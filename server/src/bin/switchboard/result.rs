//! The result of a command: any error that can be shown.
use std::error::Error;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;
