use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Error, Maker};

#[test]
fn what_several_ask_for_is_made_once() {
    let cache = tempfile::tempdir().unwrap();
    let made = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let maker = Maker::new(cache.path(), &|_| ()).unwrap();
                let folder = maker.once("a/thing", |partial| {
                    made.fetch_add(1, Ordering::Relaxed);
                    fs::write(partial.join("content"), "whole").unwrap();
                    Ok(())
                });
                assert_eq!(fs::read_to_string(folder.unwrap().join("content")).unwrap(), "whole");
            });
        }
    });
    assert_eq!(made.into_inner(), 1);
}

#[test]
fn a_failure_leaves_nothing_that_could_be_taken_for_the_image() {
    let cache = tempfile::tempdir().unwrap();
    let maker = Maker::new(cache.path(), &|_| ()).unwrap();
    let failed = maker.once("thing", |partial| {
        fs::write(partial.join("half"), "").unwrap();
        Err(Error::Program { kind: "thing" })
    });
    assert!(failed.is_err());
    assert!(!cache.path().join("thing").exists());
    let made = maker.once("thing", |_| Ok(())).unwrap();
    assert!(!made.join("half").exists(), "the next attempt starts empty");
}

#[test]
fn a_failing_tool_is_told_with_its_arguments_and_last_words() {
    let error = super::tool::run(super::tool::tool("ls").arg("/nonexistent/folder")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`ls /nonexistent/folder` failed") && text.contains("No such file"), "{text}");
    let missing = super::tool::run(&mut super::tool::tool("no-such-tool-anywhere")).unwrap_err();
    assert!(missing.hint().unwrap().contains("install-dependencies"));
}
