//! Users and groups by the names that the image knows them by.

use crate::{ChrootRunner, Error};
use std::fmt;
use std::path::Path;

/// A user of the image, and a group.
///
/// ```
/// # use arm_image_chroot::Owner;
/// assert_eq!(Owner::from("pi:video"), Owner { user: "pi".into(), group: Some("video".into()) });
/// assert_eq!(Owner::from("1000"), Owner { user: "1000".into(), group: None });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// A name in the image's `/etc/passwd`, or a number.
    pub user: String,
    /// A name in the image's `/etc/group`, or a number; the user's own group unless said.
    pub group: Option<String>,
}

/// From `USER` or `USER:GROUP`.
impl From<&str> for Owner {
    fn from(text: &str) -> Owner {
        match text.split_once(':') {
            Some((user, group)) => Owner { user: user.into(), group: Some(group.into()) },
            None => Owner { user: text.into(), group: None },
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.user)?;
        self.group.as_ref().map_or(Ok(()), |group| write!(formatter, ":{group}"))
    }
}

impl Owner {
    /// The numbers that the image has for both.
    pub(super) fn numbers(&self, root: &mut dyn ChrootRunner) -> Result<(u32, u32), Error> {
        let unknown = |reason| Error::Owner { owner: self.to_string(), reason };
        let number = self.user.parse::<u32>().ok();
        let (user, login) = match (number, &self.group) {
            (Some(user), Some(_)) => (user, None),
            _ => {
                // Name, password, user, group and so on: passwd(5).
                let users = table(root, "/etc/passwd")?;
                let known = entry(&users, |fields| match number {
                    Some(number) => fields.get(2).and_then(|field| field.parse().ok()) == Some(number),
                    None => fields.first() == Some(&self.user.as_str()),
                });
                let field = |at: usize| known.as_ref()?.get(at)?.parse::<u32>().ok();
                let user = number.or(field(2)).ok_or_else(|| unknown("no such user in `/etc/passwd`"))?;
                (user, field(3))
            }
        };
        let group = match &self.group {
            None => login.ok_or_else(|| unknown("no group of that user in `/etc/passwd`"))?,
            Some(group) => match group.parse::<u32>() {
                Ok(number) => number,
                Err(_) => {
                    // Name, password, number and so on: group(5).
                    let groups = table(root, "/etc/group")?;
                    let known = entry(&groups, |fields| fields.first() == Some(&group.as_str()));
                    known
                        .and_then(|fields| fields.get(2)?.parse().ok())
                        .ok_or_else(|| unknown("no such group in `/etc/group`"))?
                }
            },
        };
        Ok((user, group))
    }
}

fn table(root: &mut dyn ChrootRunner, path: &str) -> Result<String, Error> {
    let mut bytes = Vec::new();
    root.read(Path::new(path), &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The fields of the first line that `is_it`.
fn entry(table: &str, is_it: impl Fn(&[&str]) -> bool) -> Option<Vec<&str>> {
    table.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| is_it(fields))
}
