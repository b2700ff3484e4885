//! What the host's side tells init about the guest: a small text file in the initramfs.

/// The folder in the initramfs that marks a guest of ours.
pub(crate) const FOLDER: &str = "/.arm-image-guest";
/// The settings, one a line.
pub(crate) const SETTINGS: &str = "/.arm-image-guest/settings";
/// The arguments for the program, each ended by a NUL.
pub(crate) const ARGUMENTS: &str = "/.arm-image-guest/arguments";
/// The kernel modules, in loading order by name.
pub(crate) const MODULES: &str = "/.arm-image-guest/modules";

/// What init has to set up beside the usual file systems.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The hostfs option that shows the job's folder; empty when hostfs is confined to it.
    pub(crate) job: Option<String>,
    /// The hostfs options that show further folders, and where.
    pub(crate) shares: Vec<(String, String)>,
    /// Show the host's whole tree.
    pub(crate) host: bool,
    /// The name servers, when there is a network.
    pub(crate) name_servers: Option<Vec<String>>,
}

impl Settings {
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        if let Some(option) = &self.job {
            text.push_str(&format!("job {option}\n"));
        }
        for (option, target) in &self.shares {
            text.push_str(&format!("share {option} {target}\n"));
        }
        if self.host {
            text.push_str("host\n");
        }
        if let Some(servers) = &self.name_servers {
            text.push_str(&format!("network {}\n", servers.join(" ")));
        }
        text
    }

    /// Unknown lines are skipped: both sides are one program, of one version.
    pub(crate) fn parse(text: &str) -> Self {
        let mut settings = Self::default();
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "job" => settings.job = Some(rest.to_owned()),
                "share" => {
                    let share = rest.split_once(' ').unwrap_or((rest, ""));
                    settings.shares.push((share.0.to_owned(), share.1.to_owned()));
                }
                "host" => settings.host = true,
                "network" => {
                    settings.name_servers = Some(rest.split_ascii_whitespace().map(str::to_owned).collect());
                }
                _ => {}
            }
        }
        settings
    }
}

/// The `nameserver` addresses of a resolv.conf (resolv.conf(5)).
pub(crate) fn name_servers(resolv_conf: &str) -> impl Iterator<Item = &str> {
    resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_way_through_the_file() {
        for settings in [
            Settings::default(),
            Settings { job: Some(String::new()), name_servers: Some(vec![]), ..Settings::default() },
            Settings {
                shares: vec![
                    ("/proc/self/fd/8".into(), "/a b".into()),
                    ("/proc/self/fd/9".into(), "/c".into()),
                ],
                job: Some("/proc/self/fd/7".into()),
                host: true,
                name_servers: Some(vec!["10.0.2.3".into(), "fe80::1".into()]),
            },
        ] {
            assert_eq!(Settings::parse(&settings.to_text()), settings);
        }
    }

    #[test]
    fn name_servers_are_told_from_the_rest() {
        let text =
            "# nameserver 1.1.1.1\nsearch lan\nnameserver 10.0.0.1\nnameserver\tfe80::1 \nnameserver\n";
        assert_eq!(name_servers(text).collect::<Vec<_>>(), ["10.0.0.1", "fe80::1"]);
    }
}
