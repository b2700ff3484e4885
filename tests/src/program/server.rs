//! A web server of a few lines, on the loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// Serves one file at one path, everything else is not found. It ends with the process.
#[derive(Debug)]
pub struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
    held: Receiver<()>,
}

impl Server {
    /// Serves `content` at `/NAME`.
    pub fn new(name: &str, content: Vec<u8>) -> Self {
        Self::holding(name, content, usize::MAX)
    }

    /// Likewise, but of the content only so many bytes are sent; then the client is kept waiting for as long as it likes.
    pub fn holding(name: &str, content: Vec<u8>, sent: usize) -> Self {
        let (holds, held) = channel();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (path, seen) = (format!("/{name}"), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that goes away, as a cancelled one does, is none of the server's trouble.
                let _ = answer(stream.unwrap(), &path, &content, sent, &holds, &seen);
            }
        });
        Server { address, requests, held }
    }

    /// Waits until a client is kept waiting.
    pub fn wait_until_held(&self) {
        self.held.recv().unwrap();
    }

    /// The URL of `name` here.
    pub fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// The first lines of the requests until now.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    path: &str,
    content: &[u8],
    sent: usize,
    holds: &Sender<()>,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    for line in BufReader::new(&stream).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let first = head.first().cloned().unwrap_or_default();
    let found = first.split(' ').nth(1) == Some(path);
    let body = if found { content } else { b"not here" };
    let status = if found { "200 OK" } else { "404 Not Found" };
    seen.lock().unwrap().push(first.clone());
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    if first.starts_with("HEAD ") {
        return stream.flush();
    }
    let Some(part) = body.get(..sent) else {
        stream.write_all(body)?;
        return stream.flush();
    };
    stream.write_all(part)?;
    stream.flush()?;
    // Whoever asked may have had enough of the server, too.
    let _ = holds.send(());
    stream.read_to_end(&mut Vec::new()).map(drop)
}
