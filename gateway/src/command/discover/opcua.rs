//! What an OPC UA server says of itself before anyone logs in: FindServers and GetEndpoints (Part 4, 5.5).
//!
//! Three messages by hand on a channel without security (Part 6, 6.7 and 7.1), which every server answers for discovery.
//!
//! ```text
//! HEL -> ACK      OPN -> OPN      MSG FindServers -> MSG      MSG GetEndpoints -> MSG
//! chunk: kind(3) F(1) length(4), then of OPN and MSG the channel, security, sequence, and the body
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use driver_core::Fact;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Found, Protocol, shown};

/// The longest answer, bytes: endpoints bring their certificates.
const MESSAGE_MAX: usize = 1 << 20;
/// The most chunks of one answer.
const CHUNKS_MAX: usize = 64;
/// The most items of an array that are looked at.
const ITEMS_MAX: i32 = 256;

const HEADER: usize = 8;
const POLICY_NONE: &str = "http://opcfoundation.org/UA/SecurityPolicy#None";

/// Numbers of the messages' encodings (Part 6, annex A).
const OPEN: u16 = 446;
const FIND_SERVERS: u16 = 422;
const GET_ENDPOINTS: u16 = 428;

/// The servers that answer at an address.
pub(super) async fn ask(stream: TcpStream, at: SocketAddr, within: Duration) -> Vec<Found> {
    // Each step has its own deadline; a server that is none answers nothing that is understood.
    let asked = timeout(within.saturating_mul(4), Channel::open(stream, at));
    let Ok(Some(mut channel)) = asked.await else { return Vec::new() };
    let servers = timeout(within, channel.call(FIND_SERVERS)).await.ok().flatten();
    let endpoints = timeout(within, channel.call(GET_ENDPOINTS)).await.ok().flatten();
    let servers = servers.and_then(|bytes| servers_of(&bytes)).unwrap_or_default();
    let endpoints = endpoints.and_then(|bytes| endpoints_of(&bytes)).unwrap_or_default();
    let mut facts: Vec<Fact> = servers.into_iter().map(|(name, uri)| fact(&name, uri)).collect();
    facts.extend(endpoints.into_iter().map(|endpoint| fact("endpoint", endpoint)));
    vec![Found { protocol: Protocol::Opcua, at, url: format!("opc.tcp://{}", shown(at, 4840)), facts }]
}

fn fact(label: &str, text: String) -> Fact {
    Fact { label: label.to_owned(), text }
}

/// An open channel without security.
struct Channel {
    stream: TcpStream,
    url: String,
    id: u32,
    token: u32,
    sequence: u32,
}

impl Channel {
    /// Says hello and opens the channel; nothing where the far side is no server.
    async fn open(mut stream: TcpStream, at: SocketAddr) -> Option<Channel> {
        let url = format!("opc.tcp://{at}");
        let mut hello = Writer::chunk(b"HEL");
        for number in [0, 65_535, 65_535, 0, 0] {
            hello.u32(number);
        }
        hello.text(Some(&url));
        stream.write_all(&hello.finish()).await.ok()?;
        let (kind, _) = receive(&mut stream).await?;
        if &kind != b"ACK" {
            return None;
        }
        let mut open = Writer::chunk(b"OPN");
        open.u32(0);
        open.text(Some(POLICY_NONE));
        open.text(None);
        open.text(None);
        open.u32(1);
        open.u32(1);
        open.request(OPEN);
        // Protocol version, issue, mode none, no nonce, a minute.
        for number in [0, 0, 1, u32::MAX, 60_000] {
            open.u32(number);
        }
        stream.write_all(&open.finish()).await.ok()?;
        let (kind, body) = receive(&mut stream).await?;
        if &kind != b"OPN" {
            return None;
        }
        let mut reader = Reader(&body);
        reader.u32()?;
        for _ in 0..3 {
            reader.text()?;
        }
        reader.skip(8)?;
        reader.response()?;
        reader.skip(4)?;
        let (id, token) = (reader.u32()?, reader.u32()?);
        Some(Channel { stream, url, id, token, sequence: 2 })
    }

    /// Asks one of the two questions; the body behind the header of the answer.
    async fn call(&mut self, service: u16) -> Option<Vec<u8>> {
        let mut message = Writer::chunk(b"MSG");
        for number in [self.id, self.token, self.sequence, self.sequence] {
            message.u32(number);
        }
        self.sequence += 1;
        message.request(service);
        message.text(Some(&self.url));
        message.u32(u32::MAX);
        message.u32(u32::MAX);
        self.stream.write_all(&message.finish()).await.ok()?;
        let mut body = Vec::new();
        for _ in 0..CHUNKS_MAX {
            let (kind, chunk, is_last) = receive_chunk(&mut self.stream).await?;
            if &kind != b"MSG" || body.len() + chunk.len() > MESSAGE_MAX {
                return None;
            }
            body.extend_from_slice(chunk.get(16..)?);
            if is_last {
                let mut reader = Reader(&body);
                reader.response()?;
                return Some(reader.0.to_vec());
            }
        }
        None
    }
}

async fn receive(stream: &mut TcpStream) -> Option<([u8; 3], Vec<u8>)> {
    let (kind, body, is_last) = receive_chunk(stream).await?;
    is_last.then_some((kind, body))
}

/// Kind, what is behind the first eight bytes, and whether it is the last chunk.
async fn receive_chunk(stream: &mut TcpStream) -> Option<([u8; 3], Vec<u8>, bool)> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).await.ok()?;
    let [a, b, c, end, length @ ..] = header;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    let mut body = vec![0; length.checked_sub(HEADER).filter(|length| *length <= MESSAGE_MAX)?];
    stream.read_exact(&mut body).await.ok()?;
    Some(([a, b, c], body, end == b'F'))
}

/// Name and URI of each server.
fn servers_of(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let mut reader = Reader(bytes);
    let count = reader.u32()?.cast_signed();
    (0..count.min(ITEMS_MAX)).map(|_| reader.application()).collect()
}

/// Policy and mode of each endpoint.
fn endpoints_of(bytes: &[u8]) -> Option<Vec<String>> {
    let mut reader = Reader(bytes);
    let count = reader.u32()?.cast_signed();
    let mut endpoints = Vec::new();
    for _ in 0..count.min(ITEMS_MAX) {
        let url = reader.text()?;
        reader.application()?;
        reader.text()?;
        let mode = match reader.u32()? {
            1 => "none",
            2 => "sign",
            3 => "sign and encrypt",
            _ => "unknown",
        };
        let policy = reader.text()?;
        let tokens = reader.u32()?.cast_signed();
        for _ in 0..tokens.min(ITEMS_MAX) {
            reader.text()?;
            reader.skip(4)?;
            (0..3).try_for_each(|_| reader.text().map(drop))?;
        }
        reader.text()?;
        reader.skip(1)?;
        let policy = policy.rsplit('#').next().unwrap_or_default().to_owned();
        endpoints.push(format!("{url} {policy}, {mode}"));
    }
    Some(endpoints)
}

/// A chunk that is being written.
struct Writer(Vec<u8>);

impl Writer {
    fn chunk(kind: &[u8; 3]) -> Writer {
        let mut bytes = kind.to_vec();
        bytes.push(b'F');
        bytes.extend_from_slice(&[0; 4]);
        Writer(bytes)
    }

    fn u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn text(&mut self, text: Option<&str>) {
        self.u32(text.map_or(u32::MAX, |text| u32::try_from(text.len()).unwrap_or(u32::MAX)));
        self.0.extend_from_slice(text.unwrap_or_default().as_bytes());
    }

    /// The number of the message and the header of a request: no session, no time, no diagnostics.
    fn request(&mut self, service: u16) {
        self.0.extend_from_slice(&[1, 0]);
        self.0.extend_from_slice(&service.to_le_bytes());
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&[0; 8]);
        self.u32(1);
        self.u32(0);
        self.text(None);
        self.u32(5_000);
        self.0.extend_from_slice(&[0, 0, 0]);
    }

    fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[4..8].copy_from_slice(&length.to_le_bytes());
        self.0
    }
}

/// What is left of a message.
struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn skip(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    fn u32(&mut self) -> Option<u32> {
        let number = u32::from_le_bytes(self.0.get(..4)?.try_into().ok()?);
        self.skip(4)?;
        Some(number)
    }

    /// A text or bytes; empty where there is none.
    fn text(&mut self) -> Option<String> {
        let length = self.u32()?.cast_signed();
        let Ok(length) = usize::try_from(length) else { return Some(String::new()) };
        let text = String::from_utf8_lossy(self.0.get(..length)?).into_owned();
        self.skip(length)?;
        Some(text)
    }

    /// The number of the message and the header of a response; nothing where the service failed.
    fn response(&mut self) -> Option<()> {
        self.skip(4)?;
        self.skip(12)?;
        let is_good = self.u32()? == 0;
        // No diagnostics were asked for.
        self.skip(1)?;
        let texts = self.u32()?.cast_signed();
        (0..texts.min(ITEMS_MAX)).try_for_each(|_| self.text().map(drop))?;
        self.skip(3)?;
        is_good.then_some(())
    }

    /// An ApplicationDescription: its name and URI.
    fn application(&mut self) -> Option<(String, String)> {
        let uri = self.text()?;
        self.text()?;
        let mask = *self.0.first()?;
        self.skip(1)?;
        let mut name = String::new();
        if mask & 1 != 0 {
            self.text()?;
        }
        if mask & 2 != 0 {
            name = self.text()?;
        }
        self.skip(4)?;
        self.text()?;
        self.text()?;
        let urls = self.u32()?.cast_signed();
        (0..urls.min(ITEMS_MAX)).try_for_each(|_| self.text().map(drop))?;
        Some((name, uri))
    }
}
