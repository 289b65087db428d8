//! Minimum throughput: a stream that starts too slowly is given up while the caller has seen nothing of it.
//!
//! The stream is held back until the model has written what the minimum asks of the whole period, or until
//! the period is over. A fast model is held back only for as long as it takes to write that much.
use super::Begun;
use crate::{
    config::Floor,
    cost::{MEAN_BYTES_PER_TOKEN, received_bytes},
    failure::{Failure, FailureKind},
    model::ModelEvent,
};
use futures_util::{Stream, StreamExt as _};
use tokio::time::timeout;

/// Holds `begun` back until it is known to be fast enough.
///
/// # Errors
/// When it is too slow, or breaks meanwhile.
pub(super) async fn check<E>(begun: &mut Begun<E>, floor: Floor) -> Result<(), Failure>
where
    E: Stream<Item = Result<ModelEvent, Failure>> + Unpin,
{
    #[expect(clippy::cast_precision_loss, reason = "it is 4")]
    let min_bytes = floor.tokens_per_second * floor.over.as_secs_f64() * MEAN_BYTES_PER_TOKEN as f64;
    match timeout(floor.over, gather(begun, min_bytes)).await {
        Ok(gathered) => gathered,
        Err(_elapsed) => {
            let slow = format!("less than {} tokens per second at the start", floor.tokens_per_second);
            Err(Failure::new(FailureKind::TooSlow, slow).of_request(&begun.request_id))
        }
    }
}

/// Reads on until there is enough, or until the model's turn is over: then it cannot be too slow.
async fn gather<E>(begun: &mut Begun<E>, min_bytes: f64) -> Result<(), Failure>
where
    E: Stream<Item = Result<ModelEvent, Failure>> + Unpin,
{
    let mut written: u64 = begun.head.iter().map(received_bytes).sum();
    #[expect(clippy::cast_precision_loss, reason = "bytes of a stream's first seconds fit a double")]
    while (written as f64) < min_bytes {
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
