//! Values that are known only while a build runs, such as `build.MountPath`.
//!
//! They pass through evaluation as a mark inside a string. Whoever runs the build puts the value in with [`replace`].

/// The names that `build` offers besides `build.name` and `build.PackerRunUUID`, of which only `MountPath` means something in a chroot.
pub(crate) const NAMES: &[&str] = &[
    "ConnType",
    "Host",
    "ID",
    "MountPath",
    "PackerHTTPAddr",
    "PackerHTTPIP",
    "PackerHTTPPort",
    "Password",
    "Port",
    "SSHPrivateKey",
    "SSHPrivateKeyFile",
    "SSHPublicKey",
    "User",
    "WinRMPassword",
];

// Unicode keeps these two for a program's own use; a template that holds them is refused.
const OPEN: char = '\u{fdd0}';
const CLOSE: char = '\u{fdd1}';

/// The mark that stands for the value called `name` (`MountPath` for `build.MountPath`).
///
/// ```
/// use arm_image_template::deferred;
/// let text = format!("chroot {} true", deferred::mark("MountPath"));
/// assert_eq!(deferred::replace(&text, |name| format!("/mnt/{name}")), "chroot /mnt/MountPath true");
/// assert_eq!(deferred::names(&text), ["MountPath"]);
/// ```
pub fn mark(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
}

/// Whether `text` holds a mark.
pub fn is_in(text: &str) -> bool {
    text.contains([OPEN, CLOSE])
}

/// The names of the marks in `text`, in their order.
pub fn names(text: &str) -> Vec<&str> {
    text.split(OPEN).skip(1).filter_map(|rest| rest.split_once(CLOSE)).map(|(name, _)| name).collect()
}

/// `text` with each mark replaced by what `value` gives for its name.
pub fn replace(text: &str, mut value: impl FnMut(&str) -> String) -> String {
    let mut pieces = text.split(OPEN);
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once(CLOSE) {
            Some((name, rest)) => {
                result.push_str(&value(name));
                result.push_str(rest);
            }
            None => result.push_str(piece),
        }
    }
    result
}

/// Whether anything in `value` holds a mark.
pub(crate) fn is_in_value(value: &crate::Value) -> bool {
    use crate::Value;
    match value {
        Value::String(text) => is_in(text),
        Value::List(list) => list.iter().any(is_in_value),
        Value::Map(map) => map.values().any(is_in_value),
        Value::Sensitive(inner) => is_in_value(inner.expose()),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
