//! How messages are written: prost's way, into less room than tonic gives it.
use prost::Message;
use std::marker::PhantomData;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::ProstCodec;

/// What a call's answers are written into, in bytes. It stays with its stream while that waits for its next event: tonic's own 8 KiB
/// were a sixth of what an open stream allocated. An event is some 100 to 500 bytes; what is larger makes it grow.
const ROOM: usize = 2 << 10;
/// How much may be written before it is handed on, in bytes. Tonic's own figure.
const AT_ONCE: usize = 32 << 10;

/// The codec that the generated clients and servers name.
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
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(ROOM, AT_ONCE))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::default().decoder()
    }
}
