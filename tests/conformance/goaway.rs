//! HTTP/2 connection that the server closes with GOAWAY before it processes a call.
use std::io;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Length of the text that every HTTP/2 client sends first.
const PREFACE_LENGTH: usize = 24;

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// Answers the first call of a connection with GOAWAY. The last stream id 0 in it says that no call was
/// processed. Returns when the client closes the connection.
pub(crate) async fn return_unprocessed(mut socket: TcpStream) -> io::Result<()> {
    socket.write_all(&frame(SETTINGS, 0, &[])).await?;
    socket.read_exact(&mut [0; PREFACE_LENGTH]).await?;
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await?;
        let [high, middle, low, kind, flags, ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
        socket.read_exact(&mut payload).await?;
        match kind {
            SETTINGS if flags & ACK == 0 => socket.write_all(&frame(SETTINGS, ACK, &[])).await?,
            PING if flags & ACK == 0 => socket.write_all(&frame(PING, ACK, &payload)).await?,
            HEADERS => socket.write_all(&frame(GOAWAY, 0, &[0; 8])).await?,
            _ => {}
        }
    }
}

/// Encodes a frame of the connection (stream 0).
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = (payload.len() as u32).to_be_bytes();
    [&[high, middle, low, kind, flags, 0, 0, 0, 0], payload].concat()
}
