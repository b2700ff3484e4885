//! zip, as in PKWARE's APPNOTE.TXT: the one member that is the disk image.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use ::zip::read::ZipReadOptions;
use ::zip::result::ZipError;
use ::zip::{CompressionMethod, ZipArchive};

use crate::input::FileReader;
use crate::sink::{Sink, write_beside};
use crate::{Decompressor, Error, Input, SparseFile, Tick, Unpacked, Unpacker};

const NAME: &str = "zip";

/// Magic of a member, and of the end record, with which an archive without members begins.
const MEMBER_MAGIC: &[u8] = b"PK\x03\x04";
const END_MAGIC: &[u8] = b"PK\x05\x06";

/// Size of the end record without the comment that follows it, section 4.3.16.
const END_SIZE: u64 = 22;

type Archive<'a> = ZipArchive<BufReader<FileReader<'a>>>;

/// A zip archive in a file.
///
/// Its table of contents stands at the end, and only that tells for certain which member is the image, so it needs a file.
#[derive(Debug)]
pub(crate) struct Zip;

impl Decompressor for Zip {
    fn name(&self) -> &'static str {
        NAME
    }

    fn matches(&self, head: &[u8]) -> bool {
        crate::starts_with(head, MEMBER_MAGIC) || crate::starts_with(head, END_MAGIC)
    }

    fn told_size(&self, options: &Unpacker, input: &File) -> Option<u64> {
        open(options, input).ok().map(|(_, chosen)| chosen.size)
    }

    fn unpack(
        &self,
        options: &Unpacker,
        input: Input<'_>,
        output: &SparseFile<'_>,
        tick: Tick<'_>,
    ) -> Result<Unpacked, Error> {
        let Input::File(file) = input else { return Err(Error::NeedsFile { format: NAME }) };
        let (mut archive, chosen) = open(options, file)?;
        unpack_member(&mut archive, &chosen, output, tick)
    }
}

/// Opens the archive in `file`, and chooses the image in it.
fn open<'a>(options: &Unpacker, file: &'a File) -> Result<(Archive<'a>, Member), Error> {
    let size = Input::File(file).size()?.unwrap_or_default();
    let reader = BufReader::with_capacity(256 << 10, FileReader { file, at: 0 });
    let mut archive = ZipArchive::new(reader).map_err(directory_error)?;
    check_ends(&archive, file, size)?;
    let pattern = options.pattern()?;
    let mut members = members(&mut archive)?;
    members.retain(|member| pattern.matches(&member.name));
    let mut is_disk = |member: &Member| starts_with_boot_sector(&mut archive, member.index);
    let chosen = choose(&members, &mut is_disk)?.clone();
    Ok((archive, chosen))
}

/// A file in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    index: usize,
    name: String,
    /// Unpacked, in bytes.
    size: u64,
}

/// Lists the files; folders, links and the resource forks that macOS adds are none.
fn members(archive: &mut Archive<'_>) -> Result<Vec<Member>, Error> {
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(directory_error)?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        if entry.is_file() && !name.starts_with("__MACOSX/") {
            members.push(Member { index, name, size: entry.size() });
        }
    }
    Ok(members)
}

/// Picks the image: the only file, else the only `*.img`, else, if there is no `*.img` at all, the largest disk.
fn choose<'m>(members: &'m [Member], is_disk: &mut dyn FnMut(&Member) -> bool) -> Result<&'m Member, Error> {
    let images: Vec<&Member> =
        members.iter().filter(|member| member.name.to_ascii_lowercase().ends_with(".img")).collect();
    match (members, images.as_slice()) {
        ([only], _) => return Ok(only),
        (_, [only]) => return Ok(*only),
        (_, []) => {
            let mut disks: Vec<&Member> = members.iter().filter(|member| is_disk(member)).collect();
            disks.sort_by_key(|member| member.size);
            match disks.as_slice() {
                [only] => return Ok(only),
                [.., second, largest] if second.size < largest.size => return Ok(largest),
                _ => {}
            }
        }
        _ => {}
    }
    Err(Error::Choice { format: NAME, members: members.iter().map(|member| member.name.clone()).collect() })
}

/// Whether a member's first sector ends with the signature of a partition table or boot sector.
fn starts_with_boot_sector(archive: &mut Archive<'_>, index: usize) -> bool {
    let mut sector = [0; 512];
    let read = archive.by_index(index).map(|mut member| member.read_exact(&mut sector));
    matches!(read, Ok(Ok(()))) && sector.ends_with(&[0x55, 0xaa])
}

/// The zip crate looks for the end record wherever it is; here it has to be the end, and the first member the beginning.
fn check_ends(archive: &Archive<'_>, file: &File, size: u64) -> Result<(), Error> {
    let end_size = END_SIZE + archive.comment().len() as u64;
    let mut magic = [0; 4];
    let at_end = size
        .checked_sub(end_size)
        .is_some_and(|at| file.read_exact_at(&mut magic, at).is_ok() && magic == END_MAGIC);
    if !at_end {
        return Err(Error::ZipDirectory { reason: "it does not stand at the end".to_owned() });
    }
    if archive.offset() != 0 {
        return Err(Error::ZipDirectory { reason: "something stands before the archive".to_owned() });
    }
    Ok(())
}

fn unpack_member(
    archive: &mut Archive<'_>,
    chosen: &Member,
    output: &SparseFile<'_>,
    tick: Tick<'_>,
) -> Result<Unpacked, Error> {
    let failed = |at, reason: String| Error::ZipMember { name: chosen.name.clone(), at, reason };
    let options = ZipReadOptions::new().enforce_header_consistency(true);
    let mut member =
        archive.by_index_with_options(chosen.index, options).map_err(|error| failed(0, error.to_string()))?;
    let method = member.compression();
    if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
        return Err(failed(0, format!("the compression method {method} is not supported")));
    }
    let (packed, size) = (member.compressed_size(), member.size());
    let mut at = 0;
    // The glob that was asked for is about the members of the zip; of a tar among them any member may be the image.
    let any = Unpacker::default().pattern()?;
    let (unpacked, ()) = write_beside(NAME, output, &any, |sink| {
        loop {
            match member.read(sink.space()) {
                Ok(0) => return Ok(()),
                Ok(read) => {
                    sink.advance(read)?;
                    at += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Damage comes out of the library as an `io::Error` that no system call made.
                Err(error) if error.raw_os_error().is_none() => return Err(failed(at, error.to_string())),
                Err(source) => return Err(Error::Read { at, source }),
            }
            // How far the library has read is not to be seen from here; the share of the image is close enough.
            let done = u128::from(packed) * u128::from(at.min(size)) / u128::from(size.max(1));
            let done = u64::try_from(done).unwrap_or(packed);
            if tick(done, Some(packed)).is_break() {
                return Err(Error::Cancelled);
            }
        }
    })?;
    if at != size {
        return Err(failed(at, format!("it should have {size} bytes")));
    }
    Ok(Unpacked { member: unpacked.member.or_else(|| Some(chosen.name.clone())), ..unpacked })
}

fn directory_error(error: ZipError) -> Error {
    match error {
        ZipError::Io(source) if source.raw_os_error().is_some() => Error::Read { at: 0, source },
        ZipError::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
            Error::ZipDirectory { reason: "the input ends early".to_owned() }
        }
        ZipError::InvalidArchive(reason) => Error::ZipDirectory { reason: reason.into_owned() },
        other => Error::ZipDirectory { reason: other.to_string() },
    }
}
