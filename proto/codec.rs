//! Codec of the generated clients and servers: prost with smaller buffers than tonic's default.
use prost::Message;
use std::marker::PhantomData;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::ProstCodec;

/// Initial size of the send buffer of a call, in bytes. A stream keeps its buffer while it waits for the next
/// event: tonic's default of 8 KiB was a sixth of the memory of an open stream. Most events have 100 to 500
/// bytes; the buffer grows for larger ones.
const BUFFER_SIZE: usize = 2 << 10;
/// Number of buffered bytes at which the buffer is sent. Tonic's default.
const YIELD_THRESHOLD: usize = 32 << 10;

/// The codec.
#[derive(Debug)]
pub(crate) struct SmallCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for SmallCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for SmallCodec<T, U>
where
    T: Message + 'static,
    U: Message + Default + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = <ProstCodec<T, U> as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(BUFFER_SIZE, YIELD_THRESHOLD))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::default().decoder()
    }
}
