//! How many instructions a call takes, and an event of a stream: what a noisy machine can still tell.
use crate::Result;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Instructions {}

impl Instructions {
    pub(crate) async fn run(self) -> Result {
        Err("to be written".into())
    }
}
