//! The floor: a stream that begins too slowly is given up while the caller has seen nothing of it.
//!
//! So it is held back for as long as it takes to know: until the model has written what the floor asks of the whole time,
//! or that time is over. A model that is fast enough is held no longer than that much output takes it.
use super::Begun;
use crate::{
    attempt::failure::{Failure, FailureKind},
    bedrock::ModelEvent,
    config::Floor,
    cost::{BYTES_PER_TOKEN, received_bytes},
};
use futures_util::{Stream, StreamExt as _};
use tokio::time::timeout;

/// Holds `begun` back until it is known to be fast enough.
///
/// # Errors
/// When it is not, or breaks meanwhile.
pub(super) async fn hold<E>(begun: &mut Begun<E>, floor: Floor) -> Result<(), Failure>
where
    E: Stream<Item = Result<ModelEvent, Failure>> + Unpin,
{
    #[expect(clippy::cast_precision_loss, reason = "it is 4")]
    let enough = floor.tokens_per_second * floor.over.as_secs_f64() * BYTES_PER_TOKEN as f64;
    match timeout(floor.over, gather(begun, enough)).await {
        Ok(gathered) => gathered,
        Err(_elapsed) => {
            let slow = format!("less than {} tokens a second at first", floor.tokens_per_second);
            Err(Failure::new(FailureKind::TooSlow, slow).of_request(&begun.request_id))
        }
    }
}

/// Reads on until there is enough, or the model's turn is over: then it cannot be too slow.
async fn gather<E>(begun: &mut Begun<E>, enough: f64) -> Result<(), Failure>
where
    E: Stream<Item = Result<ModelEvent, Failure>> + Unpin,
{
    let mut written: u64 = begun.head.iter().map(received_bytes).sum();
    #[expect(clippy::cast_precision_loss, reason = "bytes of a stream's first seconds fit a double")]
    while (written as f64) < enough {
        if matches!(begun.head.last(), Some(ModelEvent::MessageStop(_) | ModelEvent::Metadata(_))) {
            return Ok(());
        }
        let Some(event) = begun.rest.next().await.transpose()? else {
            let early = Failure::new(FailureKind::EndedEarly, "the stream ended before the end of its turn");
            return Err(early.of_request(&begun.request_id));
        };
        written += received_bytes(&event);
        begun.head.push(event);
    }
    Ok(())
}
