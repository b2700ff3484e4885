//! What the usual program makes is judged as that does. scripts/test installs it.

use std::process::Command;

use super::*;

/// A home of GnuPG, with a file, and a list that knows it.
struct Gpg {
    home: tempfile::TempDir,
}

impl Gpg {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("a.img"), "abc").unwrap();
        fs::write(home.path().join("sums"), format!("{}  a.img\n", digest(b"abc").hex())).unwrap();
        Self { home }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.home.path());
        command.args(["--batch", "--quiet", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""]);
        let output = command.current_dir(self.home.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// As [`run`](Self::run), at the beginning of a month, as `202001`.
    #[track_caller]
    fn run_in(&self, month: &str, arguments: &[&str]) {
        let time = format!("{month}01T000000");
        self.run(&[&["--faked-system-time", &time], arguments].concat());
    }

    /// The certificate that undoes the one key, which GnuPG makes with it; it is called as the key is.
    fn revocation(&self) -> PathBuf {
        fs::read_dir(self.at("openpgp-revocs.d")).unwrap().next().unwrap().unwrap().path()
    }

    fn fingerprint(&self) -> String {
        self.revocation().file_stem().unwrap().to_str().unwrap().to_owned()
    }

    fn export(&self, keyring: &str) {
        self.run(&["--output", keyring, "--export"]);
    }

    /// Checks the file against `list`, which has to be signed by a key of `keyring`.
    fn check(&self, list: &str, keyring: &str) -> Result<PathBuf, String> {
        let fetcher = fetcher(&self.at("cache")).keyring(&self.at(keyring)).unwrap();
        let (file, list) = (Source::Path(self.at("a.img")), Checksum::List(Source::Path(self.at(list))));
        let go = &mut |_, _| ControlFlow::Continue(());
        fetcher.fetch(&file, &list, None, go).map_err(|error| error.to_string())
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ =
            Command::new("gpgconf").arg("--homedir").arg(self.home.path()).args(["--kill", "all"]).status();
    }
}

#[test]
fn its_signatures_are_taken_and_its_revocations_believed() {
    let gpg = Gpg::new();
    gpg.run(&["--quick-generate-key", "publisher@example.org", "rsa2048", "sign", "never"]);
    gpg.export("keyring");
    assert!(gpg.check("sums", "keyring").unwrap_err().contains("not signed"));
    gpg.run(&["--output", "sums.gpg", "--detach-sign", "sums"]);
    gpg.run(&["--output", "clear", "--clear-sign", "sums"]);
    for list in ["sums", "clear"] {
        gpg.check(list, "keyring").unwrap();
    }
    // GnuPG puts a colon before it, so that it is not used by accident.
    let revocation = gpg.revocation();
    let text = fs::read_to_string(&revocation).unwrap().replace(":-----BEGIN", "-----BEGIN");
    fs::write(&revocation, text).unwrap();
    gpg.run(&["--import", revocation.to_str().unwrap()]);
    gpg.export("keyring");
    for list in ["sums", "clear"] {
        let text = gpg.check(list, "keyring").unwrap_err();
        assert!(text.contains("is revoked"), "{text}");
    }
}

#[test]
fn an_expired_signature_does_not_count() {
    let gpg = Gpg::new();
    gpg.run_in("202001", &["--quick-generate-key", "publisher@example.org", "ed25519", "sign", "never"]);
    gpg.export("keyring");
    for (options, expected) in
        [(["--default-sig-expire", "1m"], "it has expired"), (["--default-sig-expire", "0"], "")]
    {
        let sign = ["--output", "sums.gpg", "--detach-sign", "sums"];
        gpg.run_in("202002", &[&options[..], &sign].concat());
        match gpg.check("sums", "keyring") {
            Ok(_) => assert_eq!(expected, "", "{options:?}"),
            Err(text) => assert!(!expected.is_empty() && text.contains(expected), "{text}"),
        }
    }
}

/// Whoever finds an old key later cannot sign with it; what was signed in its time stays so.
#[test]
fn what_an_expired_key_signs_does_not_count() {
    for by_subkey in [false, true] {
        let gpg = Gpg::new();
        let (usage, end) = if by_subkey { ("cert", "never") } else { ("sign", "1y") };
        gpg.run_in("202001", &["--quick-generate-key", "publisher@example.org", "ed25519", usage, end]);
        let key = gpg.fingerprint();
        if by_subkey {
            gpg.run_in("202001", &["--quick-add-key", &key, "ed25519", "sign", "1y"]);
        }
        gpg.export("old");
        gpg.run_in("202002", &["--output", "sums.gpg", "--detach-sign", "sums"]);
        gpg.check("sums", "old").unwrap();
        // GnuPG signs only with a key that was prolonged in time, of which the old keyring does not know.
        let mut prolong = vec!["--quick-set-expire", &key, "0"];
        prolong.extend(by_subkey.then_some("*"));
        gpg.run_in("202003", &prolong);
        gpg.export("new");
        gpg.run(&["--output", "sums.gpg", "--detach-sign", "sums"]);
        gpg.check("sums", "new").unwrap();
        let text = gpg.check("sums", "old").unwrap_err();
        assert!(text.contains("had expired before"), "{text}");
    }
}
