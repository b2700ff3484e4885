//! Formats that are known but not supported, so that none of them is taken for a raw image.

use crate::{Decompressor, Error, Input, SparseFile, Tick, Unpacked, Unpacker};

/// Something that is no image and not unpacked here.
#[derive(Debug)]
pub(crate) struct Foreign {
    name: &'static str,
    /// What it is, with its article.
    found: &'static str,
    remedy: &'static str,
    matches: fn(&[u8]) -> bool,
}

/// The magic numbers are those of the formats' own documents, or of the kernel's and QEMU's headers.
pub(crate) static FORMATS: [Foreign; 10] = [
    Foreign {
        name: "7z",
        found: "a 7z archive",
        remedy: "unpack it with `7z x` first",
        matches: |head| head.starts_with(b"7z\xbc\xaf\x27\x1c"),
    },
    Foreign {
        name: "rar",
        found: "a rar archive",
        remedy: "unpack it with `unrar x` first",
        matches: |head| head.starts_with(b"Rar!\x1a\x07"),
    },
    Foreign {
        name: "lz4",
        found: "an lz4 file",
        remedy: "unpack it with `lz4 -d` first",
        matches: |head| head.starts_with(b"\x04\x22\x4d\x18"),
    },
    Foreign {
        name: "lzip",
        found: "an lzip file",
        remedy: "unpack it with `lzip -d` first",
        matches: |head| head.starts_with(b"LZIP\x01"),
    },
    Foreign {
        name: "android-sparse",
        found: "an Android sparse image",
        remedy: "turn it into a raw image with `simg2img` first",
        matches: |head| head.starts_with(&0xed26_ff3a_u32.to_le_bytes()),
    },
    Foreign {
        name: "qcow2",
        found: "a qcow2 disk",
        remedy: "turn it into a raw image with `qemu-img convert -O raw` first",
        matches: |head| head.starts_with(b"QFI\xfb"),
    },
    Foreign {
        name: "vmdk",
        found: "a VMware disk",
        remedy: "turn it into a raw image with `qemu-img convert -O raw` first",
        matches: |head| head.starts_with(b"KDMV"),
    },
    Foreign {
        name: "vdi",
        found: "a VirtualBox disk",
        remedy: "turn it into a raw image with `qemu-img convert -O raw` first",
        matches: |head| head.get(64..).is_some_and(|field| field.starts_with(&0xbeda_107f_u32.to_le_bytes())),
    },
    Foreign {
        name: "vhdx",
        found: "a Hyper-V disk",
        remedy: "turn it into a raw image with `qemu-img convert -O raw` first",
        matches: |head| head.starts_with(b"vhdxfile"),
    },
    Foreign {
        name: "html",
        found: "a web page",
        remedy: "the server answered with a page instead of the file: open the address in a browser to see what it says",
        matches: is_html,
    },
];

impl Decompressor for Foreign {
    fn name(&self) -> &'static str {
        self.name
    }

    fn matches(&self, head: &[u8]) -> bool {
        (self.matches)(head)
    }

    fn unpack(
        &self,
        _options: &Unpacker,
        _input: Input<'_>,
        _output: &SparseFile<'_>,
        _tick: Tick<'_>,
    ) -> Result<Unpacked, Error> {
        Err(Error::Unsupported { found: self.found, remedy: self.remedy })
    }
}

fn is_html(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    ["<!doctype html", "<html"]
        .iter()
        .any(|tag| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes())))
}
