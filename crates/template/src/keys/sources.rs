//! The keys of `source "arm-image"` and `source "arm"`.

use super::Kind::{Blocks, Commands, Flag, Mounts, OneOf, Text, Texts, Whole};
use super::Status::{Current, Deprecated, Ignored, Removed};
use super::{Complaint, Key, Schema, complaint, missing, one_of, pairs, required};
use crate::model::Settings;

/// The keys of a source of that type.
pub(crate) fn source(kind: &str) -> Option<&'static Schema> {
    match kind {
        "arm-image" => Some(&ARM_IMAGE),
        "arm" => Some(&ARM),
        _ => None,
    }
}

/// The types of sources there are.
pub(crate) const TYPES: &[&str] = &["arm-image", "arm"];

const CHECKSUM: &str = "write the type in front: iso_checksum = \"sha256:…\", or \"file:URL\" for a list";

static ARM_IMAGE: Schema = Schema { keys: ARM_IMAGE_KEYS, check: check_arm_image };

const ARM_IMAGE_KEYS: &[Key] = &[
    ("iso_url", Text, Current),
    ("iso_urls", Texts, Current),
    ("iso_checksum", Text, Current),
    ("iso_checksum_type", Text, Removed(CHECKSUM)),
    ("iso_checksum_url", Text, Removed(CHECKSUM)),
    ("iso_target_path", Text, Current),
    ("iso_target_extension", Text, Current),
    ("command_wrapper", Text, Ignored("no command of the host is run by a shell")),
    ("output_filename", Text, Current),
    ("output_directory", Text, Deprecated("output_filename = \"DIRECTORY/image\"")),
    ("image_type", Text, Current),
    ("image_arch", OneOf(&["arm", "armbe", "arm64", "arm64be"]), Current),
    ("image_mounts", Texts, Current),
    ("mount_path", Text, Current),
    ("chroot_mounts", Mounts, Current),
    ("additional_chroot_mounts", Mounts, Current),
    ("resolv-conf", OneOf(&["off", "copy-host", "bind-host", "delete"]), Current),
    ("target_image_size", Whole, Current),
    (
        "last_partition_extra_size",
        Whole,
        Deprecated("target_image_size, which is the size of the whole image in bytes"),
    ),
    ("qemu_binary", Text, Current),
    ("disable_embedded", Flag, Current),
    ("qemu_args", Texts, Current),
    ("qemu_required", Flag, Current),
];

fn check_arm_image(settings: &Settings) -> Vec<Complaint> {
    let mut found = one_of(settings, &["iso_url", "iso_urls"]);
    if !settings.has("iso_checksum") {
        let hint = "iso_checksum = \"sha256:…\", \"file:URL\" of a list, or \"none\"";
        found.push(missing(&["iso_checksum"], "the key `iso_checksum` is missing", hint));
    }
    if settings.has("output_directory") && settings.has("output_filename") {
        let message = "`output_filename` and `output_directory` exclude each other";
        found.push(complaint(Some("output_directory"), message, "keep `output_filename`"));
    }
    // What is 0 leaves the size alone, and so excludes nothing.
    if ["target_image_size", "last_partition_extra_size"].iter().all(|key| settings.whole(key) > Some(0)) {
        let message = "`target_image_size` and `last_partition_extra_size` exclude each other";
        found.push(complaint(Some("last_partition_extra_size"), message, "keep `target_image_size`"));
    }
    found
}

static ARM: Schema = Schema { keys: ARM_KEYS, check: check_arm };

const MODE_NEW: &str = "only the method `new` uses it, which is not supported";

const ARM_KEYS: &[Key] = &[
    ("file_urls", Texts, Current),
    ("file_checksum", Text, Current),
    ("file_checksum_url", Text, Current),
    ("file_checksum_type", OneOf(&["md5", "sha1", "sha256", "sha512", "none"]), Current),
    ("file_unarchive_cmd", Texts, Ignored("the format is told by the first bytes")),
    ("file_user_agent", Text, Current),
    ("file_target_path", Text, Current),
    ("file_target_extension", Text, Ignored("the format is told by the first bytes")),
    ("file_tmp_dir_location", Text, Current),
    ("image_path", Text, Current),
    ("image_size", Text, Current),
    ("image_size_bytes", Whole, Current),
    ("image_type", OneOf(&["dos", "gpt"]), Current),
    ("image_mount_path", Text, Current),
    ("image_build_method", OneOf(&["new", "reuse", "resize"]), Current),
    ("image_partitions", Blocks(&PARTITION), Current),
    ("image_chroot_mounts", Blocks(&CHROOT_MOUNT), Current),
    ("additional_chroot_mounts", Blocks(&CHROOT_MOUNT), Current),
    ("image_setup_extra", Commands, Current),
    ("image_chroot_env", Texts, Current),
    ("qemu_binary_source_path", Text, Current),
    ("qemu_binary_destination_path", Text, Current),
];

static PARTITION: Schema = Schema {
    keys: &[
        ("int", Whole, Current),
        ("name", Text, Current),
        ("type", Text, Current),
        ("size", Text, Current),
        ("start_sector", Whole, Current),
        ("filesystem", Text, Current),
        ("filesystem_make_options", Texts, Ignored(MODE_NEW)),
        ("mountpoint", Text, Current),
    ],
    check: |settings| required(settings, &["name", "type", "size"]),
};

static CHROOT_MOUNT: Schema = Schema {
    keys: &[
        ("mount_type", Text, Current),
        ("source_path", Text, Current),
        ("destination_path", Text, Current),
    ],
    check: |settings| required(settings, &["mount_type", "source_path", "destination_path"]),
};

fn check_arm(settings: &Settings) -> Vec<Complaint> {
    let mut found =
        required(settings, &["file_urls", "image_path", "image_build_method", "qemu_binary_source_path"]);
    found.extend(one_of(settings, &["image_size", "image_size_bytes"]));
    found.extend(pairs(settings, "image_chroot_env"));
    if !settings.has("image_partitions") {
        let hint = "image_partitions { name = …, type = …, size = … }";
        found.push(missing(&["image_partitions"], "no `image_partitions` block is there", hint));
    }
    let unchecked = settings.text("file_checksum_type") == Some("none");
    if !unchecked && !settings.has("file_checksum") && !settings.has("file_checksum_url") {
        let hint = "file_checksum_url = \"…\", or file_checksum_type = \"none\"";
        let keys = ["file_checksum", "file_checksum_url", "file_checksum_type"];
        found.push(missing(&keys, "the key `file_checksum` is missing", hint));
    }
    if settings.text("image_build_method") == Some("new") {
        let hint =
            "`reuse` or `resize` an image that boots; a new one cannot be made from an archive of files here";
        found.push(complaint(Some("image_build_method"), "the method `new` is not supported", hint));
    }
    found
}
