//! The words and variables that this process was started with.
//!
//! Process 1 of a command's namespace is a copy of this one, and the kernel shows to whoever reads its `cmdline` and `environ` what
//! is in its memory: options and secrets of the host. Programs look there, be it only to see whether they are in a container.

use rustix::fs::{CWD, Mode, OFlags, openat};
use std::ops::Range;

/// Where in the memory of this process these words are.
pub(crate) type Inherited = [Range<u64>; 2];

/// Finds them; proc_pid_stat(5). `None` where the kernel does not tell.
pub(crate) fn find() -> Option<Inherited> {
    parse(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// Reads the fields 48 to 51: where the arguments and the environment begin and end.
fn parse(stat: &str) -> Option<Inherited> {
    // The second field is a name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(48 - 3).map(|field| field.parse().ok());
    let mut range = || Some(fields.next()??..fields.next()??);
    Some([range()?, range()?])
}

/// Overwrites them in this process, which is a copy. Nothing is allocated.
pub(crate) fn erase(inherited: &Inherited) {
    // By this file and not by a pointer: what is wrong about the addresses is an error then, and no crash. Where it cannot be,
    // there is nothing else to do about it, and the command is no worse off.
    let Ok(memory) = openat(CWD, c"/proc/self/mem", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) else {
        return;
    };
    let nothing = [0; 512];
    for range in inherited {
        let mut at = range.start;
        while at < range.end {
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(nothing.len());
            match rustix::io::pwrite(&memory, &nothing[..left], at) {
                Ok(written) if written > 0 => at += written as u64,
                _ => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_words_of_this_process_are_found() {
        let [words, variables] = find().unwrap();
        let length = |name: &str| std::fs::read(format!("/proc/self/{name}")).unwrap().len() as u64;
        assert_eq!(words.end - words.start, length("cmdline"));
        assert_eq!(variables.end - variables.start, length("environ"));
    }

    #[test]
    fn a_name_may_look_like_fields() {
        let numbers: Vec<_> = (3..=52).map(|number| number.to_string()).collect();
        let stat = format!("1 (a) b) 7 8) {}", numbers.join(" "));
        assert_eq!(parse(&stat), Some([48..49, 50..51]));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in "[0-9() a]{0,200}|\\PC{0,60}") {
            let _ = parse(&text);
        }
    }
}
