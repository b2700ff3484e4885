//! A web server on loopback that does as a test says, however wrong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::Source;

pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

/// A request, and the connection to answer it on.
pub(crate) struct Exchange {
    /// The request line and the header, in lower case.
    pub(crate) head: String,
    stream: TcpStream,
}

impl Server {
    /// Serves each connection one request, in a thread of its own, until the test process ends.
    pub(crate) fn new(answer: impl Fn(&mut Exchange) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let (counter, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (counter, answer) = (Arc::clone(&counter), Arc::clone(&answer));
                thread::spawn(move || {
                    let Some(mut exchange) = Exchange::hear(stream.unwrap()) else { return };
                    counter.fetch_add(1, Ordering::SeqCst);
                    answer(&mut exchange);
                });
            }
        });
        Self { address, requests }
    }

    /// A server that always says the same.
    pub(crate) fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::new(move |exchange| exchange.say(&answer))
    }

    pub(crate) fn source(&self, path: &str) -> Source {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    /// How many requests came so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Exchange {
    fn hear(mut stream: TcpStream) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        Some(Self { head: String::from_utf8(head).unwrap().to_lowercase(), stream })
    }

    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// The first byte asked for, where a part is.
    pub(crate) fn start(&self) -> Option<usize> {
        let (_, rest) = self.head.split_once("\r\nrange: bytes=")?;
        Some(rest.split_once("-\r\n").unwrap().0.parse().unwrap())
    }

    /// Sends `bytes`, if the client still listens.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends nothing, until the client goes.
    pub(crate) fn stall(&mut self) {
        let _ = self.stream.read(&mut [0]);
    }
}

/// An answer with a length.
pub(crate) fn ok(body: &[u8]) -> Vec<u8> {
    announced(body.len(), "", body)
}

/// An answer that says it has `length` bytes, whatever it has, with more header lines.
pub(crate) fn announced(length: usize, header: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{header}Connection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// The part of `body` from `start` on, with more header lines.
pub(crate) fn part(body: &[u8], start: usize, header: &str) -> Vec<u8> {
    let (end, total) = (body.len() - 1, body.len());
    let mut answer = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {start}-{end}/{total}\r\n\
         {header}Connection: close\r\n\r\n",
        total - start
    )
    .into_bytes();
    answer.extend(&body[start..]);
    answer
}

/// An answer without a length, in chunks; `end` is the last one, if it is to come.
pub(crate) fn chunked(body: &[u8], end: &[u8]) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(1000) {
        answer.extend(format!("{:x}\r\n", chunk.len()).bytes());
        answer.extend(chunk);
        answer.extend(b"\r\n");
    }
    answer.extend(end);
    answer
}

/// An answer without a body.
pub(crate) fn bare(status: &str, header: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
}
