//! A small HTTP client for the gateway's own server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const ANSWER_WITHIN: Duration = Duration::from_secs(40);

/// An answer's status and body; an error when no whole one came.
pub fn ask(address: SocketAddr, request: &[u8]) -> std::io::Result<(u16, String)> {
    answer(address, request).map(|(status, _, body)| (status, body))
}

/// An answer's status, head and body; an error when no whole one came.
pub fn answer(address: SocketAddr, request: &[u8]) -> std::io::Result<(u16, String, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.write_all(request)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let no_http = || std::io::Error::other(format!("no HTTP: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(no_http)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(no_http)?;
    Ok((status, head.to_owned(), body.to_owned()))
}

/// The body of a 200, whatever bytes it has; an error for any other answer.
pub fn bytes(address: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").filter(|_| answer.starts_with(b"HTTP/1.1 200 "));
    let head = head.ok_or_else(|| std::io::Error::other(String::from_utf8_lossy(&answer).into_owned()))?;
    Ok(answer.split_off(head + 4))
}

/// GET.
pub fn get(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    ask(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())
}

/// POST with a token; an empty one is not shown.
pub fn post(address: SocketAddr, path: &str, token: &str, body: &str) -> std::io::Result<(u16, String)> {
    let login = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{login}Content-Length: {length}\r\n\r\n"
    );
    ask(address, format!("{head}{body}").as_bytes())
}

/// A stream of server-sent events.
pub struct Live {
    from: BufReader<TcpStream>,
}

impl Live {
    /// Asks for one; an error when there is none.
    pub fn open(address: SocketAddr, path: &str) -> std::io::Result<Live> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())?;
        let mut from = BufReader::new(stream);
        let mut line = String::new();
        from.read_line(&mut line)?;
        let ok = line.contains(" 200 ");
        while line != "\r\n" {
            line.clear();
            if from.read_line(&mut line)? == 0 {
                break;
            }
        }
        ok.then_some(Live { from }).ok_or_else(|| std::io::Error::other("there is no stream"))
    }

    /// The data of the first event of this name that is `wanted`. Panics when none comes in time.
    pub fn until(&mut self, name: &str, mut wanted: impl FnMut(&serde_json::Value) -> bool) -> serde_json::Value {
        let deadline = Instant::now() + ANSWER_WITHIN;
        while Instant::now() < deadline {
            let chunk = self.chunk().expect("the stream goes on");
            for event in chunk.split("\n\n") {
                let Some((head, data)) = event.split_once("\ndata: ") else { continue };
                if head != format!("event: {name}") {
                    continue;
                }
                let data = serde_json::from_str(data).expect("JSON");
                if wanted(&data) {
                    return data;
                }
            }
        }
        panic!("no event `{name}` that is wanted came in {ANSWER_WITHIN:?}");
    }

    /// One chunk (RFC 9112, 7.1): whole events, as the gateway sends them.
    fn chunk(&mut self) -> std::io::Result<String> {
        let mut size = String::new();
        self.from.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(std::io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        self.from.read_exact(&mut chunk)?;
        chunk.truncate(size);
        String::from_utf8(chunk).map_err(std::io::Error::other)
    }
}
