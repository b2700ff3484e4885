//! When a download is tried again, and when it is given up.
//!
//! A network loses connections, and servers have bad minutes. A person would try again, a little later each time; so does
//! this. What the same request would bring again (404, a certificate nobody vouches for, a redirect without end) is final.

use std::time::{Duration, Instant};

use reqwest::StatusCode;

use crate::Error;
use crate::flow::Flow;

/// How often in a row a download is tried again without getting on.
const RETRIES: u32 = 4;
/// What an attempt has to bring, in bytes, for the next failure to count as the first.
const PROGRESS: u64 = 256 << 10;
/// How long to wait before the first retry; each further one in a row waits twice as long.
pub(crate) const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest a server's `Retry-After` is obeyed.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(120);
/// How often a tick is called while waiting.
const PULSE: Duration = Duration::from_millis(100);

/// How much of it is left.
pub(crate) struct Patience {
    first_wait: Duration,
    failures: u32,
}

impl Patience {
    pub(crate) fn new(first_wait: Duration) -> Self {
        Self { first_wait, failures: 0 }
    }

    /// Waits until it is time for another attempt, after one that brought `gained` bytes and failed by `error`.
    ///
    /// # Errors
    ///
    /// `error` itself, if another attempt is of no use; or [`Error::Cancelled`].
    pub(crate) fn wait(&mut self, error: Error, gained: u64, flow: &mut Flow<'_>) -> Result<(), Error> {
        let Some(wait) = self.next(&error, gained) else { return Err(error) };
        let start = Instant::now();
        while let Some(rest) = wait.checked_sub(start.elapsed()).filter(|rest| !rest.is_zero()) {
            flow.tick()?;
            // Nothing can be waited for: it is the server that has to recover.
            std::thread::sleep(rest.min(PULSE));
        }
        Ok(())
    }

    /// How long to wait; `None` if another attempt is of no use.
    fn next(&mut self, error: &Error, gained: u64) -> Option<Duration> {
        if gained >= PROGRESS {
            self.failures = 0;
        }
        if self.failures >= RETRIES || !is_passing(error) {
            return None;
        }
        let own = self.first_wait * 2_u32.pow(self.failures);
        self.failures += 1;
        match error {
            Error::Status { retry_after: Some(asked), .. } => Some((*asked).min(RETRY_AFTER_LIMIT)),
            _ => Some(own),
        }
    }
}

/// Whether the same request may bring something else a little later.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::Request { .. } => !error.is_distrust(),
        Error::Broken { .. } | Error::Short { .. } | Error::Stalled { .. } => true,
        Error::Status { status, .. } => {
            let is_permanent =
                matches!(*status, StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED);
            let asks_to_wait = matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
            asks_to_wait || status.is_server_error() && !is_permanent
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, retry_after: Option<u64>) -> Error {
        Error::Status {
            url: String::new(),
            status: StatusCode::from_u16(code).unwrap(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    fn waits(patience: &mut Patience, error: &Error, gained: u64) -> Vec<u64> {
        std::iter::from_fn(|| patience.next(error, gained)).take(9).map(|wait| wait.as_secs()).collect()
    }

    #[test]
    fn each_wait_is_longer_until_it_is_given_up() {
        let mut patience = Patience::new(FIRST_WAIT);
        let error = Error::Short { url: String::new(), done: 1, total: 2 };
        assert_eq!(waits(&mut patience, &error, PROGRESS - 1), [1, 2, 4, 8]);
        assert_eq!(waits(&mut patience, &error, PROGRESS), [1; 9], "who gets on does not give up");
    }

    #[test]
    fn the_server_is_obeyed_within_bounds() {
        let mut patience = Patience::new(FIRST_WAIT);
        let waits: Vec<_> = [Some(7), Some(0), Some(86_400), None]
            .map(|asked| patience.next(&status(429, asked), 0).unwrap().as_secs())
            .into();
        assert_eq!(waits, [7, 0, 120, 8]);
    }

    #[test]
    fn what_stays_as_it_is_is_final() {
        for (code, is_final) in [
            (400, true),
            (403, true),
            (404, true),
            (410, true),
            (501, true),
            (408, false),
            (429, false),
            (500, false),
            (503, false),
        ] {
            let next = Patience::new(FIRST_WAIT).next(&status(code, None), 0);
            assert_eq!(next.is_none(), is_final, "{code}");
        }
        assert!(Patience::new(FIRST_WAIT).next(&Error::Cancelled, PROGRESS).is_none());
    }
}
