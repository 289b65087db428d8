//! The demonstration.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {}
impl Demo {
    pub(crate) async fn show(self) -> super::Result<()> {
        Ok(())
    }
}
