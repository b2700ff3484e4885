use super::*;
use std::io;

fn at(target: &str) -> Mount<'static> {
    Mount { device: Path::new("/dev/none"), target: target.into(), kind: "ext4".into(), options: Vec::new() }
}

#[test]
fn parents_come_before_what_lies_in_them() {
    let mounts = [at("/boot/firmware"), at("/boot-extra"), at("/"), at("/boot")];
    let ordered: Vec<_> = in_order(&mounts).unwrap().iter().map(|mount| mount.target.clone()).collect();
    assert_eq!(ordered[0], Path::new("/"));
    let position = |path: &str| ordered.iter().position(|target| target == Path::new(path)).unwrap();
    assert!(position("/boot") < position("/boot/firmware"));
}

#[test]
fn a_list_that_makes_no_tree_is_refused() {
    assert!(matches!(in_order(&[at("/boot")]), Err(Error::NoRoot)));
    assert!(matches!(in_order(&[]), Err(Error::NoRoot)));
    for bad in [&[at("/"), at("boot")][..], &[at("/"), at("/a/../b")], &[at("/"), at("/b"), at("/b/")]] {
        assert!(matches!(in_order(bad), Err(Error::Target { .. })), "{bad:?}");
    }
}

#[test]
fn an_io_error_keeps_its_cause_apart() {
    let error = step("unshare")(rustix::io::Errno::PERM);
    assert_eq!(error.to_string(), "failed to unshare for a private mount namespace");
    assert!(error.hint().unwrap().contains("CAP_SYS_ADMIN"));
    let source = std::error::Error::source(&error).unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.raw_os_error(), Some(libc::EPERM));
}
