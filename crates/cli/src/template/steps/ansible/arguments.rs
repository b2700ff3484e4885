//! The arguments that a template gives to `ansible-playbook`.
//!
//! Packer has no word of its own for an image that is mounted, so templates name the folder here, which they chose by
//! `mount_path`. As nobody chooses it with us, what names it is understood.

use arm_image_template::deferred;

/// What is to be given of `given`; each time that it is something else, `tell` is called with how and why.
pub(super) fn understood(given: &[&str], tell: &mut dyn FnMut(String)) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut words = given.iter().peekable();
    while let Some(word) = words.next() {
        let value = match inventory(word) {
            Some("") => words.peek().copied().copied(),
            value => value,
        };
        if let Some(value) = value.filter(|value| is_the_image(value)) {
            let shown = deferred::replace(value, |name| format!("${{build.{name}}}"));
            tell(format!("the inventory `{shown}` is left out: the image is in one already"));
            if inventory(word) == Some("") {
                words.next();
            }
            continue;
        }
        arguments.push(match host(word) {
            Some((before, path, after)) => {
                tell(format!("`ansible_host` is where the image is mounted, not `{path}`"));
                format!("{before}{}{after}", deferred::mark("MountPath"))
            }
            None => (*word).to_owned(),
        });
    }
    arguments
}

/// The inventory that a word names, which is empty where the next word does.
fn inventory(word: &str) -> Option<&str> {
    let option =
        ["--inventory-file", "--inventory", "-i"].into_iter().find_map(|name| word.strip_prefix(name))?;
    match option.strip_prefix(['=', ' ']) {
        Some(value) => Some(value.trim()),
        None => option.is_empty().then_some(option),
    }
}

/// Whether an inventory is a list with a folder as its only host.
fn is_the_image(inventory: &str) -> bool {
    let host = inventory.strip_suffix(',').unwrap_or_default();
    !host.contains(',') && (host.starts_with('/') || deferred::mark("MountPath") == host)
}

/// The folder that a word sets the host's address to, and what stands before and behind it.
fn host(word: &str) -> Option<(&str, &str, &str)> {
    const NAME: &str = "ansible_host=";
    let name = word.match_indices(NAME).map(|(index, _)| index);
    let mut whole = name
        .filter(|&index| !word[..index].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_'));
    let (before, path) = word.split_at(whole.next()? + NAME.len());
    let quote = path.chars().next().filter(|letter| "'\"".contains(*letter));
    let (before, path) = word.split_at(before.len() + quote.map_or(0, char::len_utf8));
    let end = path.find(|letter| quote.map_or(letter == ' ', |quote| letter == quote)).unwrap_or(path.len());
    let (path, after) = path.split_at(end);
    path.starts_with('/').then_some((before, path, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(given: &[&str]) -> (Vec<String>, usize) {
        let mut count = 0;
        let arguments = understood(given, &mut |_| count += 1);
        let shown = arguments.iter().map(|word| deferred::replace(word, |name| format!("<{name}>")));
        (shown.collect(), count)
    }

    #[test]
    fn an_inventory_with_the_image_alone_is_left_out() {
        let mark = format!("{},", deferred::mark("MountPath"));
        for given in [
            &["--inventory-file=/mnt/image,", "-v"][..],
            &["--inventory", "/tmp/rootfs,", "-v"],
            &["-i", &mark, "-v"],
            &["-i /mnt/image,", "-v"],
        ] {
            assert_eq!(told(given), (vec!["-v".to_owned()], 1), "{given:?}");
        }
        for given in [
            &["--inventory-file=hosts.ini"][..],
            &["-i", "/etc/ansible/hosts"],
            &["-i", "a,/mnt/image,"],
            &["-i"],
            &["--inventory-like=/mnt/image,"],
        ] {
            assert_eq!(told(given), (given.iter().map(|&word| word.to_owned()).collect(), 0), "{given:?}");
        }
    }

    #[test]
    fn the_hosts_address_is_where_the_image_is() {
        for (given, expected) in [
            ("ansible_host=/tmp/image", "ansible_host=<MountPath>"),
            ("-e ansible_host=/tmp/image a=b", "-e ansible_host=<MountPath> a=b"),
            ("ansible_host='/tmp/an image' arch='arm64'", "ansible_host='<MountPath>' arch='arm64'"),
            ("ansible_host=\"/tmp/image", "ansible_host=\"<MountPath>"),
        ] {
            assert_eq!(told(&["-e", given]), (vec!["-e".to_owned(), expected.to_owned()], 1));
        }
        for given in ["my_ansible_host=/tmp/image", "ansible_host=example.org", "ansible_host=", "host=/tmp"]
        {
            assert_eq!(told(&[given]), (vec![given.to_owned()], 0));
        }
    }
}
