//! Results in words and as JSON.

mod step;

use std::{
    fmt::{self, Write},
    path::Path,
};

use arm_image_chroot::{Bind, ResolvConf};
use arm_image_fetch::Checksum;

use serde_json::json;

use crate::{Inspection, Isolation, Machine, Mapper, MountPoint, OnError, Plan, size::humane};

impl Inspection {
    /// The JSON of `arm-image inspect --json`, on one line.
    pub fn to_json(&self) -> String {
        // A structure of texts and numbers always serialises: paths are written lossily.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        writeln!(f, "{}: {}, {} table {}", shown(&path), humane(self.size), self.table, self.disk_id)?;
        writeln!(f, "  {:>2}  {:>10}  {:>10}  {:<9} {:<12} mount", "nr", "start", "size", "system", "label")?;
        for part in &self.partitions {
            let text = |text: &Option<String>| text.as_ref().map_or_else(|| "-".to_owned(), shown);
            writeln!(
                f,
                "  {:>2}  {:>10}  {:>10}  {:<9} {:<12} {}",
                part.number,
                humane(part.start),
                humane(part.size),
                text(&part.filesystem),
                text(&part.label),
                part.mount.as_ref().map_or_else(|| "-".to_owned(), |target| shown(&target.display())),
            )?;
        }
        let os = self.os.as_ref().map(|os| os.pretty_name.clone().unwrap_or_else(|| os.id.clone()));
        writeln!(f, "  os      {}", os.map_or("not known".to_owned(), |os| shown(&os)))?;
        writeln!(f, "  arch    {}", self.arch.map_or("not known".to_owned(), |arch| arch.to_string()))?;
        write!(f, "  preset  {}", self.preset.map_or("none", |preset| preset.name))?;
        if let Some(obstacle) = &self.obstacle {
            let entered =
                if obstacle.leaves_a_way() { "needs --mount N=/ and --arch" } else { "not possible" };
            write!(f, "\n  entry   {entered}: {}; {}", shown(obstacle), obstacle.hint())?;
        }
        Ok(())
    }
}

/// Text of an image as it may be shown: what would move the cursor, colour the terminal or turn the line around is spelled out.
fn shown(text: &(impl fmt::Display + ?Sized)) -> String {
    let one = |letter: char| match letter {
        '\'' | '"' | '\\' => letter.to_string(),
        _ if letter.is_alphanumeric() => letter.to_string(),
        _ => letter.escape_debug().to_string(),
    };
    text.to_string().chars().map(one).collect()
}

impl Machine {
    /// The JSON of `arm-image doctor --json`, on one line.
    pub fn to_json(&self) -> String {
        json!({"checks": self.checks(), "able": self.able(), "verdict": self.verdict()}).to_string()
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in self.checks() {
            writeln!(f, "{:<8} {:<24} {}", if check.ok { "ok" } else { "missing" }, check.name, check.found)?;
            if let Some(mend) = &check.mend {
                writeln!(f, "{:<8} {:<24} -> {mend}", "", "")?;
            }
        }
        write!(f, "\n{}", self.verdict())
    }
}

impl Plan {
    /// The plan as JSON, on one line.
    pub fn to_json(&self) -> String {
        let steps: Vec<_> = self.steps.iter().map(step::json).collect();
        let enter = &self.enter;
        let mut plan = json!({
            "sources": self.origin.sources.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "checksum": self.origin.checksum.to_string(),
            "image_checksum": self.origin.image_checksum.to_string(),
            "member": self.origin.unpacker.member,
            "max_size": self.origin.unpacker.max_size,
            "output": lossy(&self.output),
            "size": self.size,
            "shrink": self.shrink,
            "mounts": enter.mounts.iter().map(mount_text).collect::<Vec<_>>(),
            "arch": enter.arch.map(|arch| arch.to_string()),
            "preset": enter.preset.map(|preset| preset.name),
            "qemu_binary": enter.qemu.as_deref().map(lossy),
            "qemu_args": enter.qemu_arguments.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>(),
            "sync": enter.sync,
            "services": enter.services,
            "apt_cache": enter.apt_cache.as_deref().map(lossy),
            "binds": enter.binds.iter().map(bind).collect::<Vec<_>>(),
            "on_error": self.on_error,
            "resolv_conf": match enter.resolv_conf {
                ResolvConf::Off => "off",
                ResolvConf::CopyHost => "copy-host",
                ResolvConf::BindHost => "bind-host",
                ResolvConf::Delete => "delete",
            },
            "restore_resolv_conf": enter.restore_resolv_conf,
            "isolation": enter.isolation,
            "mapper": enter.mapper,
            "cache": self.origin.cache.as_deref().map(lossy),
            "offline": self.origin.offline,
            "steps": steps,
        });
        if !self.on_failure.is_empty() {
            plan["on_failure"] = self.on_failure.iter().map(step::json).collect();
        }
        plan.to_string()
    }
}

fn bind(bind: &Bind) -> serde_json::Value {
    json!({"source": lossy(&bind.source), "target": lossy(&bind.target), "read_only": bind.read_only})
}

/// As it is written behind `--mount`.
fn mount_text(mount: &MountPoint) -> String {
    let options = mount.options.iter().map(|option| format!(",{option}"));
    format!("{}={}{}", mount.number, mount.target.display(), options.collect::<String>())
}

/// JSON has no way to write bytes that are no UTF-8.
fn lossy(path: &Path) -> String {
    path.display().to_string()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let enter = &self.enter;
        for source in &self.origin.sources {
            writeln!(f, "source     {source}")?;
        }
        writeln!(f, "checksum   {}", self.origin.checksum)?;
        if self.origin.image_checksum != Checksum::None {
            writeln!(f, "unpacked   {}", self.origin.image_checksum)?;
        }
        writeln!(f, "output     {}", self.output.display())?;
        match self.size {
            Some(size) => writeln!(f, "size       {size}")?,
            None => writeln!(f, "size       as it is")?,
        }
        if self.shrink {
            writeln!(f, "shrink     to what is in it, in the end")?;
        }
        let mounts: Vec<_> = enter.mounts.iter().map(mount_text).collect();
        let mounts =
            if mounts.is_empty() { "as the image's fstab says".to_owned() } else { mounts.join(" ") };
        writeln!(f, "mounts     {mounts}")?;
        writeln!(
            f,
            "arch       {}",
            enter.arch.map_or("as the image's shell".to_owned(), |arch| arch.to_string())
        )?;
        let isolation = match enter.isolation {
            Isolation::Auto => "host where it can, else guest",
            Isolation::Host => "host",
            Isolation::Guest => "guest",
        };
        writeln!(f, "isolation  {isolation}")?;
        let mapper = match enter.mapper {
            Mapper::Auto => "dm where it can, else loop",
            Mapper::Dm => "dm",
            Mapper::Loop => "loop",
        };
        write!(f, "mapper     {mapper}")?;
        for bind in &enter.binds {
            let how = if bind.read_only { ", read-only" } else { "" };
            write!(f, "\nshown      {} at {}{how}", bind.source.display(), bind.target.display())?;
        }
        if let Some(folder) = &enter.apt_cache {
            write!(f, "\npackages   are kept in {}", folder.display())?;
        }
        let said = |yes: bool, text: &'static str| if yes { text } else { "" };
        f.write_str(said(enter.sync, "\nsync       programs wait for the disk"))?;
        f.write_str(said(enter.services, "\nservices   may start"))?;
        f.write_str(said(enter.restore_resolv_conf, "\nresolv     the image's own comes back in the end"))?;
        match self.on_error {
            OnError::Cleanup => {}
            OnError::Shell => f.write_str("\non error   a shell in the image")?,
            OnError::Keep | OnError::KeepAfterCleanup => {
                f.write_str("\non error   the unfinished image stays")?;
            }
        }
        for (index, step) in self.steps.iter().enumerate() {
            write!(f, "\nstep {:<5} {}", index + 1, step::words(step))?;
        }
        for step in self.on_failure.iter().filter(|_| self.on_error != OnError::Keep) {
            write!(f, "\nif it fails {}", step::words(step))?;
        }
        Ok(())
    }
}

/// The table of known images, in words or as JSON.
pub fn presets_text(as_json: bool) -> String {
    let presets = arm_image_presets::presets();
    if as_json {
        let rows = presets.iter().map(|preset| {
            let mounts: Vec<_> = preset
                .mounts
                .iter()
                .map(|(number, path)| json!({"partition": number, "path": path}))
                .collect();
            json!({
                "name": preset.name,
                "description": preset.description,
                "mounts": mounts,
                "qemu_cpu": preset.qemu_cpu,
                "note": preset.note,
            })
        });
        return serde_json::Value::from_iter(rows).to_string();
    }
    let mut text = format!("{:<18} {:<34} {}\n", "name", "mounts, where fstab does not tell", "what it is");
    for preset in presets {
        let mounts: Vec<_> = preset.mounts.iter().map(|(number, path)| format!("{number}={path}")).collect();
        // Writing to a String cannot fail.
        let mounts = if mounts.is_empty() { "-".to_owned() } else { mounts.join(" ") };
        let _ = writeln!(text, "{:<18} {mounts:<34} {}", preset.name, preset.description);
        if let Some(note) = preset.note {
            let _ = writeln!(text, "{:<18} {note}", "");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        assert_eq!(shown("\u{1b}[31mroot\u{7}\r\n"), "\\u{1b}[31mroot\\u{7}\\r\\n");
        assert_eq!(shown("\u{9b}2J\u{202e}gpj"), "\\u{9b}2J\\u{202e}gpj");
        let plain = "Zürich's \"größtes\" C:\\ 树莓派 (bookworm)";
        assert_eq!(shown(plain), plain);
    }
}
