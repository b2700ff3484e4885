//! Signals: the first asks the work to stop and take everything down, the second ends the program at once.

use std::{
    io,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use signal_hook::{consts::TERM_SIGNALS, flag};

/// Which signal came first, if any.
#[derive(Debug, Clone)]
pub(crate) struct Asked(Arc<AtomicUsize>);

impl Asked {
    /// Takes the signals that ask a program to end: INT, TERM, QUIT and HUP.
    #[expect(unsafe_code, reason = "the standard library leaves the signals' actions as they are")]
    pub(crate) fn listen() -> io::Result<Asked> {
        // Whoever started us may ignore it, and then nobody could be waited for.
        // SAFETY: the default action runs no code of ours.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        let asked = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(AtomicBool::new(false));
        for signal in TERM_SIGNALS.iter().copied().chain([signal_hook::consts::SIGHUP]) {
            let number = usize::try_from(signal).unwrap_or_default();
            // In this order: the second signal finds the first one's mark and gets the default action.
            flag::register_conditional_default(signal, Arc::clone(&seen))?;
            flag::register(signal, Arc::clone(&seen))?;
            flag::register_usize(signal, Arc::clone(&asked), number)?;
        }
        Ok(Asked(asked))
    }

    /// The signal's number.
    pub(crate) fn signal(&self) -> Option<u8> {
        u8::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|&number| number != 0)
    }

    /// `Break` once a signal has come.
    pub(crate) fn flow(&self) -> ControlFlow<()> {
        match self.signal() {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }
}
