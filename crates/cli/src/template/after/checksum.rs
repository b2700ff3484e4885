//! Digests of a file.

use std::{fmt, fmt::Write as _, fs::File, io::Read, path::Path};

use sha2::digest::DynDigest;

use super::{manifest::change, tick};
use crate::{Error, OnEvent};

/// A kind of digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are called what they are")]
pub enum Digest {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    /// All of them.
    pub const ALL: [Digest; 6] =
        [Digest::Md5, Digest::Sha1, Digest::Sha224, Digest::Sha256, Digest::Sha384, Digest::Sha512];

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Digest::Md5 => "md5",
            Digest::Sha1 => "sha1",
            Digest::Sha224 => "sha224",
            Digest::Sha256 => "sha256",
            Digest::Sha384 => "sha384",
            Digest::Sha512 => "sha512",
        }
    }

    fn state(self) -> Box<dyn DynDigest> {
        match self {
            Digest::Md5 => Box::new(md5::Md5::default()),
            Digest::Sha1 => Box::new(sha1::Sha1::default()),
            Digest::Sha224 => Box::new(sha2::Sha224::default()),
            Digest::Sha256 => Box::new(sha2::Sha256::default()),
            Digest::Sha384 => Box::new(sha2::Sha384::default()),
            Digest::Sha512 => Box::new(sha2::Sha512::default()),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The digests of the file at `path`, in hexadecimal digits.
pub(super) fn of_file(
    digests: &[Digest],
    path: &Path,
    on: OnEvent<'_>,
) -> Result<Vec<(Digest, String)>, Error> {
    let failed = |cause| Error::File { operation: "read", path: path.into(), cause };
    let mut file = File::open(path).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let mut states: Vec<_> = digests.iter().map(|digest| (*digest, digest.state())).collect();
    let mut buffer = vec![0; 1 << 20];
    let mut done = 0;
    loop {
        let length = file.read(&mut buffer).map_err(failed)?;
        if length == 0 {
            break;
        }
        states.iter_mut().for_each(|(_, state)| state.update(&buffer[..length]));
        done += length as u64;
        tick(on, done, total)?;
    }
    let digits = |bytes: Box<[u8]>| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    Ok(states.into_iter().map(|(digest, state)| (digest, digits(state.finalize()))).collect())
}

/// Adds a line to a list as `sha256sum` writes it, in the place of one that says the same of an earlier file.
pub(super) fn add(
    path: &Path,
    sum: &str,
    input: &Path,
    read: &[&Path],
    owner: Option<(u32, u32)>,
) -> Result<(), Error> {
    let name = input.file_name().unwrap_or_default().to_string_lossy();
    change(path, read, owner, |text| {
        let of_another = |line: &&str| {
            line.split_once("  ").is_none_or(|(known, file)| file != name || known.len() != sum.len())
        };
        let mut lines: Vec<_> = text.lines().filter(of_another).map(str::to_owned).collect();
        lines.push(format!("{sum}  {name}"));
        Ok((lines.join("\n") + "\n").into_bytes())
    })
}
