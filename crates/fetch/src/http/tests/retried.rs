//! What is tried again, and what is not.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::server::Exchange;

/// A server whose first answers are others.
fn faltering(first: Vec<fn(&mut Exchange)>) -> Server {
    let count = AtomicUsize::new(0);
    Server::new(move |exchange| match first.get(count.fetch_add(1, Ordering::SeqCst)) {
        Some(answer) => answer(exchange),
        None => exchange.say(&ok(&body())),
    })
}

#[test]
fn a_passing_trouble_is_overcome() {
    let server = faltering(vec![
        |exchange| exchange.say(&bare("503 Service Unavailable", "")),
        |exchange| exchange.say(&bare("429 Too Many Requests", "Retry-After: 0\r\n")),
        // The wait can also be told as a date; the own back-off does then.
        |exchange| exchange.say(&bare("503 Oh", "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n")),
        |_| {}, // Hangs up without a word.
    ]);
    let bench = Bench::new();
    assert_eq!(fs::read(bench.fetch(&server.source("/a.img"), &right()).unwrap()).unwrap(), body());
    assert_eq!(server.requests(), 5);
    let server = faltering(vec![|exchange| exchange.say(&announced(10, "", b"12345"))]);
    let bench = Bench::new();
    assert_eq!(fs::read(bench.fetch(&server.source("/a.img"), &right()).unwrap()).unwrap(), body());
    assert!(server.requests() > 1);
}

#[test]
fn a_stall_is_overcome() {
    let server = faltering(vec![|exchange| exchange.stall()]);
    let mut bench = Bench::new();
    bench.fetcher.manner.stall = Duration::from_secs(1);
    bench.fetch(&server.source("/a.img"), &right()).unwrap();
    assert_eq!(server.requests(), 2);
}

#[test]
fn what_does_not_pass_is_given_up() {
    for (status, requests) in [("503 Service Unavailable", 5), ("404 Not Found", 1), ("400 Bad Request", 1)] {
        let server = Server::saying(bare(status, ""));
        let error = Bench::new().fails(&server.source("/a.img"), &right());
        assert!(matches!(error, Error::Status { .. }), "{error}");
        assert_eq!(server.requests(), requests, "{status}");
    }
}

#[test]
fn a_tick_cancels_the_wait_for_a_server() {
    for header in ["", "Retry-After: 300\r\n"] {
        let server = Server::saying(bare("503 Service Unavailable", header));
        let mut bench = Bench::new();
        bench.fetcher.manner.first_wait = Duration::from_secs(300);
        let mut ticks = 0;
        let mut third = |_, _| {
            // Those while the answer is waited for do not count.
            ticks += i32::from(server.requests() > 0);
            if ticks > 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let error = bench.fetcher.fetch(&server.source("/a.img"), &right(), None, &mut third).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert_eq!(server.requests(), 1);
    }
}

#[test]
fn a_list_is_tried_again_too() {
    let count = AtomicUsize::new(0);
    let server = Server::new(move |exchange| {
        let list = format!("{}  a.img\n", digest(&body()).hex());
        let answer = match (exchange.path(), count.fetch_add(1, Ordering::SeqCst)) {
            (_, 0) => bare("500 Internal Server Error", ""),
            ("/sums", 1) => announced(list.len(), "", &list.as_bytes()[..70]),
            ("/sums", _) => ok(list.as_bytes()),
            _ => ok(&body()),
        };
        exchange.say(&answer);
    });
    let list = Checksum::List(server.source("/sums"));
    Bench::new().fetch(&server.source("/a.img"), &list).unwrap();
    assert_eq!(server.requests(), 4);
}
