//! Puts the wrapper and the arguments into a program, as two more segments behind all others (System V ABI, "Program
//! Loading").

use crate::slot::{Buffer, Slot};

const MAGIC: &[u8; 16] = b"\x7farm-image args\0";
/// The largest pages of the machines that there is a wrapper for.
const PAGE: u64 = 64 << 10;
const PAGE_LENGTH: usize = 64 << 10;
/// No emulator has so much; a program that claims more is none.
const MEMORY_LIMIT: u64 = 1 << 30;

const HEADER: usize = 56;
const SLOT: usize = size_of::<Slot>();
const LOAD: u32 = 1; // PT_LOAD
const INTERPRETER: u32 = 3; // PT_INTERP
const HEADERS: u32 = 6; // PT_PHDR
const EXECUTE: u32 = 1; // PF_X
const WRITE: u32 = 2; // PF_W
const READ: u32 = 4; // PF_R

pub(crate) struct Implanted {
    /// The program, its header changed.
    pub(crate) program: Vec<u8>,
    /// What comes behind it.
    pub(crate) segment: Vec<u8>,
    /// Where in the file.
    pub(crate) offset: u64,
}

/// Implants `wrapper`, so that it comes to stand before `program`; tells why it cannot where it cannot.
pub(crate) fn implant(
    mut program: Vec<u8>,
    wrapper: &[u8],
    strings: &[u8],
    count: usize,
    file: Option<&[u8]>,
) -> Result<Implanted, &'static str> {
    let damaged = "its ELF header is damaged";
    if half(&program, 18) != half(wrapper, 18) || program.get(4..6) != wrapper.get(4..6) {
        return Err("it is not one of this machine");
    }
    let entry = long(&program, 24).ok_or(damaged)?;
    let mut headers = headers(&program).ok_or(damaged)?;
    if headers.iter().any(|header| kind(header) == INTERPRETER) {
        return Err("it is linked dynamically");
    }
    let Some(last) = headers.iter().rposition(|header| kind(header) == LOAD) else {
        return Err("it has nothing to load");
    };
    let (base, address) = place(&headers, program.len()).ok_or("its segments are damaged")?;
    if base % PAGE != 0 || address - base > MEMORY_LIMIT {
        return Err("its segments are in unusual places");
    }
    let offset = address - base;

    let mut segment = image(wrapper).ok_or("the wrapper is damaged")?.to_vec();
    let slot = segment.windows(MAGIC.len()).position(|window| window == MAGIC);
    let slot = slot.filter(|slot| slot + SLOT <= segment.len() && segment.len() <= PAGE_LENGTH);
    let slot = slot.ok_or("the wrapper is damaged")?;
    let code_length = u64_of(segment.len());
    segment.resize(PAGE_LENGTH, 0);
    segment.extend_from_slice(strings);
    let path = file.map(|path| {
        let place = segment.len();
        segment.extend_from_slice(path);
        segment.push(0);
        place
    });
    segment.resize(segment.len().next_multiple_of(8), 0);
    let buffer = segment.len();
    segment.resize((buffer + size_of::<Buffer>()).next_multiple_of(8), 0);
    let table = segment.len();
    let table_length = u64_of((headers.len() + 2) * HEADER);
    let data_length = u64_of(table) - PAGE + table_length;

    // The kernel of before 5.18 derives where the headers are in memory from where they are in the file, by the first
    // segment's distance: the new segments have the same. A program may write to its arguments.
    let code = load(READ | EXECUTE, offset, address, code_length);
    let data = load(READ | WRITE, offset + PAGE, address + PAGE, data_length);
    headers.splice(last + 1..last + 1, [code, data]);
    for header in headers.iter_mut().filter(|header| kind(header) == HEADERS) {
        fill(header, offset + u64_of(table), address + u64_of(table), table_length);
    }
    segment.extend(headers.concat());

    let slot_address = address + u64_of(slot);
    let from_slot = |place: usize| u64_of(place) - u64_of(slot);
    let fields = [
        entry.wrapping_sub(slot_address),
        from_slot(PAGE_LENGTH),
        u64_of(count),
        path.map(from_slot).unwrap_or_default(),
        from_slot(buffer),
    ];
    segment[slot + 16..slot + SLOT].copy_from_slice(&fields.map(u64::to_le_bytes).concat());

    let count = u16::try_from(headers.len()).ok().filter(|&count| count < u16::MAX);
    let begin = long(wrapper, 24).ok_or("the wrapper is damaged")?;
    program[24..32].copy_from_slice(&(address + begin).to_le_bytes());
    program[32..40].copy_from_slice(&(offset + u64_of(table)).to_le_bytes());
    program[56..58].copy_from_slice(&count.ok_or(damaged)?.to_le_bytes());
    Ok(Implanted { program, segment, offset })
}

/// All that a wrapper has in memory: its one segment, from the ELF header on.
fn image(wrapper: &[u8]) -> Option<&[u8]> {
    let headers = headers(wrapper)?;
    let mut loads = headers.iter().filter(|header| kind(header) == LOAD);
    let load = loads.next()?;
    let [offset, address, _, in_file, in_memory] = places(load)?;
    if (offset, address) != (0, 0) || in_file != in_memory || loads.next().is_some() {
        return None;
    }
    wrapper.get(..usize::try_from(in_file).ok()?)
}

/// How far addresses are from offsets, and the first address that is behind everything in memory and in the file.
fn place(headers: &[[u8; HEADER]], length: usize) -> Option<(u64, u64)> {
    let (mut base, mut end) = (None, 0);
    for header in headers.iter().filter(|header| kind(header) == LOAD) {
        let [offset, address, _, _, in_memory] = places(header)?;
        let base = *base.get_or_insert(address.checked_sub(offset)?);
        end = end.max(address.checked_add(in_memory)?).max(base.checked_add(u64_of(length))?);
    }
    // Far enough from the end of the address space that nothing added below wraps.
    let address = end.checked_next_multiple_of(PAGE).filter(|&address| address < 1 << 47)?;
    Some((base?, address))
}

fn headers(program: &[u8]) -> Option<Vec<[u8; HEADER]>> {
    let from = usize::try_from(long(program, 32)?).ok()?;
    let (size, count) = (half(program, 54)?, half(program, 56)?);
    if !program.starts_with(b"\x7fELF\x02\x01\x01") || usize::from(size) != HEADER {
        return None;
    }
    let table = program.get(from..from.checked_add(usize::from(count) * HEADER)?)?;
    Some(table.as_chunks().0.to_vec())
}

fn kind(header: &[u8; HEADER]) -> u32 {
    u32::from_le_bytes([header[0], header[1], header[2], header[3]])
}

/// Offset, address, physical address, size in the file, size in memory.
fn places(header: &[u8; HEADER]) -> Option<[u64; 5]> {
    header[8..48]
        .as_chunks()
        .0
        .iter()
        .map(|&bytes| u64::from_le_bytes(bytes))
        .collect::<Vec<_>>()
        .try_into()
        .ok()
}

fn load(flags: u32, offset: u64, address: u64, length: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&LOAD.to_le_bytes());
    header[4..8].copy_from_slice(&flags.to_le_bytes());
    fill(&mut header, offset, address, length);
    header[48..56].copy_from_slice(&4096_u64.to_le_bytes());
    header
}

fn fill(header: &mut [u8; HEADER], offset: u64, address: u64, length: u64) {
    let places = [offset, address, address, length, length];
    header[8..48].copy_from_slice(&places.map(u64::to_le_bytes).concat());
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

/// A length in memory, as a number of the file's: both have 64 bits on the machines that there is a wrapper for.
fn u64_of(length: usize) -> u64 {
    length as u64
}
