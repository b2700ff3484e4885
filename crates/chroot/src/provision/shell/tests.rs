use super::*;
use crate::provision::tests::{Fake, go_on};
use proptest::prelude::*;

fn inline(text: &str) -> Script {
    Script::Inline(text.into())
}

#[test]
fn scripts_run_in_their_order_as_told_and_the_first_failure_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("it's a script.sh");
    fs::write(&file, "#!/bin/bash\n").unwrap();
    let scripts = Scripts {
        directory: "/srv".into(),
        env: vec![("A".into(), "b".into())],
        valid_exit_codes: vec![0, 3],
        ..Scripts::of([inline("one"), Script::File(file)])
    };
    let mut fake = Fake { status: 3 << 8, ..Fake::default() };
    scripts.provision(&mut fake, &mut go_on).unwrap();
    assert_eq!(fake.ran[0].argv, ["/bin/sh", "-e", "/run/arm-image/inline"]);
    assert_eq!(fake.ran[1].argv, ["/run/arm-image/it_s_a_script.sh"]);
    for command in &fake.ran {
        assert_eq!((command.directory.as_path(), command.env.len()), (Path::new("/srv"), 1));
    }
    let mut fake = Fake { status: 4 << 8, ..Fake::default() };
    assert_eq!(scripts.provision(&mut fake, &mut go_on).unwrap_err().code(), Some(4));
    assert_eq!(fake.ran.len(), 1);
    // 0 is no success where it is not among them, and a signal never is.
    let picky = Scripts { valid_exit_codes: vec![9], ..Scripts::of([inline("x")]) };
    picky.provision(&mut Fake::default(), &mut go_on).unwrap_err();
    picky.provision(&mut Fake { status: 9, ..Fake::default() }, &mut go_on).unwrap_err();
}

#[test]
fn another_user_runs_the_same_words_through_su() {
    let mut fake = Fake::default();
    let scripts = Scripts { user: Some("pi".into()), ..Scripts::of([inline("x")]) };
    scripts.provision(&mut fake, &mut go_on).unwrap();
    let words = &fake.ran[0].argv;
    assert_eq!(words[..5], ["su", "-s", "/bin/sh", "-c", "exec \"$0\" \"$@\""]);
    assert_eq!(words[5..], ["--", "pi", "/bin/sh", "-e", "/run/arm-image/inline"]);
}

#[test]
fn an_execute_command_is_filled_in_and_given_to_a_shell() {
    let mut fake = Fake::default();
    let scripts = Scripts {
        env: vec![("A".into(), "it's".into()), ("B".into(), "$x y".into())],
        execute_command: Some("chmod +x {{ .Path }}; env {{.Vars}} {{.Path}}".into()),
        ..Scripts::of([inline("x")])
    };
    scripts.provision(&mut fake, &mut go_on).unwrap();
    let line = r"chmod +x /run/arm-image/inline; env A='it'\''s' B='$x y' /run/arm-image/inline";
    assert_eq!(fake.ran[0].argv, ["/bin/sh", "-c", line]);
}

#[test]
fn a_file_holds_the_variables_for_as_long_as_the_script_runs() {
    let scripts = Scripts {
        env: vec![("A".into(), "it's".into()), ("B".into(), "2".into())],
        execute_command: Some(". {{.EnvVarFile}} && {{.Path}}".into()),
        env_file: true,
        ..Scripts::of([inline("x")])
    };
    for status in [0, 4 << 8] {
        let mut fake = Fake { status, ..Fake::default() };
        assert_eq!(scripts.provision(&mut fake, &mut go_on).is_ok(), status == 0);
        assert_eq!(fake.ran[0].argv[2], ". /run/arm-image/variables && /run/arm-image/inline");
        let file = "export A='it'\\''s'\nexport B='2'\n";
        assert_eq!(fake.made[Path::new("/run/arm-image/variables")], (file.into(), 0o600));
        assert_eq!(fake.made[Path::new("/run/arm-image/inline")].0, "#!/bin/sh -e\nx");
        assert_eq!(fake.removed, ["/run/arm-image/variables", "/run/arm-image/inline"].map(PathBuf::from));
    }
    let formatted = Scripts { env_format: Some("set %s '%s';".into()), ..scripts };
    let line = formatted.render("{{.Vars}}", Path::new("/x")).unwrap();
    assert_eq!(line, r"set A 'it'\''s';set B '2';");
}

#[test]
fn an_execute_command_that_cannot_be_filled_in_says_why_and_runs_nothing() {
    for (template, reason) in
        [("{{.Path", "has no `}}`"), ("{{ .Env }} x", "`.Env` is none"), ("{{ .EnvVarFile }} x", "no file")]
    {
        let mut fake = Fake::default();
        let scripts = Scripts { execute_command: Some(template.into()), ..Scripts::of([inline("x")]) };
        let error = scripts.provision(&mut fake, &mut go_on).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(fake.ran.is_empty() && fake.made.is_empty());
    }
}

#[test]
fn variables_reach_a_shell_as_they_are() {
    let env =
        [("A".into(), OsString::from_vec(b"a'b\"c\\ $(d) `e` \n\xff".to_vec())), ("B".into(), "2".into())];
    let line = OsString::from_vec([variables(&env, "%s='%s' "), b"env".to_vec()].concat());
    let output = std::process::Command::new("/bin/sh").env_clear().arg("-c").arg(line).output().unwrap();
    assert!(output.stdout.starts_with(b"A=a'b\"c\\ $(d) `e` \n\xff\n"), "{output:?}");
}

proptest! {
    #[test]
    fn any_template_is_filled_in_or_refused(template in "(\\{\\{|\\}\\}|\\.Path|\\.Vars|\\PC){0,12}") {
        let scripts = Scripts { env: vec![("A".into(), "b".into())], ..Scripts::of([]) };
        if let Ok(line) = scripts.render(&template, Path::new("/tmp/x")) {
            let plain = template.replace("{{.Path}}", "/tmp/x").replace("{{.Vars}}", "A='b'");
            prop_assert!(line == OsString::from(plain) || template.contains(char::is_whitespace));
        }
    }
}
