//! What the kernel puts on the stack of a new program, and how the wrapper changes it: `argc`, the arguments and a null,
//! the environment and a null, and the auxiliary vector of pairs up to `AT_NULL` (System V ABI, "Process Initialization").

const AT_NULL: usize = 0;
/// Set where the program has rights that its caller has not (`linux/auxvec.h`).
const AT_SECURE: usize = 23;

/// How many strings the first `length` bytes of `content` are, each with a NUL at its end; none where they are nothing of
/// the kind, or do not end in there.
pub(crate) fn count(content: &[u8], length: usize) -> Option<usize> {
    let text = content.get(..length).filter(|text| text.len() < content.len())?;
    let mut count = 0;
    for &byte in text {
        count += usize::from(byte == 0);
    }
    (text.last() == Some(&0)).then_some(count)
}

/// Where the stack has to begin to hold `count` more arguments: aligned to 16 bytes as the ABI wants.
pub(crate) fn begin(old: usize, count: usize) -> usize {
    old.wrapping_sub(count.wrapping_mul(size_of::<usize>())) & !15
}

/// Copies the vectors at `old` to `new`, with `count` of `strings` after `argv[0]`; and without the variables that the
/// emulator obeys where the program has rights that whoever set them has not.
///
/// # Safety
///
/// At `old` are such vectors, at `strings` so many strings; `new` is `begin(old, count)`, and all from there to the end
/// of the vectors may be written.
#[expect(unsafe_code, reason = "the stack of a new program is known by its address only")]
pub(crate) unsafe fn fill(old: *const usize, new: *mut usize, strings: *const u8, count: usize) {
    // SAFETY: the caller vouches for both. Each word is read before the writing, which goes upwards as the reading does
    // and never overtakes it, reaches its place.
    unsafe {
        let (argc, name) = (old.read(), old.add(1).read());
        let arguments = old.add(2);
        let mut environment = old.add(argc + 2);
        let secure = is_secure(environment);

        new.write(argc + count);
        new.add(1).write(name);
        let mut to = new.add(2);
        let mut string = strings;
        for _ in 0..count {
            to.write(string.addr());
            to = to.add(1);
            while string.read() != 0 {
                string = string.add(1);
            }
            string = string.add(1);
        }
        let mut from = arguments;
        while from < environment {
            to.write(from.read());
            (from, to) = (from.add(1), to.add(1));
        }
        while environment.read() != 0 {
            let variable = environment.read();
            environment = environment.add(1);
            if !(secure && is_the_emulators(core::ptr::with_exposed_provenance(variable))) {
                to.write(variable);
                to = to.add(1);
            }
        }
        to.write(0);
        (from, to) = (environment.add(1), to.add(1));
        loop {
            let kind = from.read();
            to.write(kind);
            to.add(1).write(from.add(1).read());
            if kind == AT_NULL {
                return;
            }
            (from, to) = (from.add(2), to.add(2));
        }
    }
}

/// # Safety
///
/// At `environment` is the environment, and behind it the auxiliary vector.
#[expect(unsafe_code, reason = "the stack of a new program is known by its address only")]
unsafe fn is_secure(environment: *const usize) -> bool {
    // SAFETY: the caller vouches for the vectors, whose ends are marked.
    unsafe {
        let mut at = environment;
        while at.read() != 0 {
            at = at.add(1);
        }
        at = at.add(1);
        while at.read() != AT_NULL {
            if at.read() == AT_SECURE {
                return at.add(1).read() != 0;
            }
            at = at.add(2);
        }
        false
    }
}

/// Whether the variable's name begins with `QEMU_`.
///
/// # Safety
///
/// At `variable` is a string.
#[expect(unsafe_code, reason = "the kernel hands strings over by their addresses")]
unsafe fn is_the_emulators(variable: *const u8) -> bool {
    for (index, wanted) in (*b"QEMU_").into_iter().enumerate() {
        // SAFETY: the comparison ends at the first difference, so not behind the string's NUL.
        if unsafe { variable.add(index).read() } != wanted {
            return false;
        }
    }
    true
}
