use super::*;

/// What the kernel's machine would answer to this call: enough of it for what [`program`] uses.
fn answer_to(hold: bool, arch: u32, number: u32, second: u32, third: u32) -> u32 {
    let program = program(hold);
    let (mut at, mut value) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        let code = u32::from(code);
        let jump = |taken: bool| usize::from(if taken { jt } else { jf });
        at += 1;
        match code {
            _ if code == BPF_LD | BPF_W | BPF_ABS => {
                value = match k {
                    NUMBER => number,
                    ARCH => arch,
                    SECOND => second,
                    THIRD => third,
                    other => panic!("nothing to load at {other}"),
                }
            }
            _ if code == BPF_JMP | BPF_JEQ | BPF_K => at += jump(value == k),
            _ if code == BPF_JMP | BPF_JSET | BPF_K => at += jump(value & k != 0),
            _ if code == BPF_ALU | BPF_AND | BPF_K => value &= k,
            _ if code == BPF_RET | BPF_K => return k,
            other => panic!("unknown instruction {other:#x}"),
        }
    }
}

fn verdict(arch: u32, number: u32, third: u32) -> u32 {
    answer_to(true, arch, number, 0, third)
}

#[test]
fn only_nodes_of_block_devices_are_refused() {
    let kinds = [libc::S_IFCHR, libc::S_IFIFO, libc::S_IFREG, libc::S_IFSOCK, libc::S_IFDIR, 0];
    for Calls { arch, mknod, mknodat, .. } in &KNOWN {
        for hold in [true, false] {
            let mknod_of = |mode| mknod.map(|number| answer_to(hold, *arch, number, mode, 0));
            let mknodat_of = |mode| answer_to(hold, *arch, *mknodat, 0, mode);
            assert_eq!(mknodat_of(libc::S_IFBLK | 0o4644), NOT_PERMITTED);
            assert_eq!(mknod_of(libc::S_IFBLK | 0o600), mknod.map(|_| NOT_PERMITTED));
            for kind in kinds {
                assert_eq!(mknodat_of(kind | 0o7777), SECCOMP_RET_ALLOW, "{kind:o}");
                assert_eq!(mknod_of(kind | 0o666), mknod.map(|_| SECCOMP_RET_ALLOW), "{kind:o}");
            }
        }
    }
}

#[test]
fn nothing_is_held_back_unless_wanted() {
    for Calls { arch, held, msync, .. } in &KNOWN {
        for number in held.iter().chain([msync]) {
            assert_eq!(answer_to(false, *arch, *number, u32::MAX, u32::MAX), SECCOMP_RET_ALLOW);
        }
    }
}

#[test]
fn what_waits_for_the_disk_succeeds_at_once_and_all_else_passes() {
    let all = KNOWN.iter().flat_map(|calls| calls.held).chain(0..500);
    for number in all {
        for Calls { arch, held, msync, .. } in &KNOWN {
            let expected = if held.contains(&number) { NOTHING_DONE } else { SECCOMP_RET_ALLOW };
            if number != *msync {
                assert_eq!(
                    verdict(*arch, number, libc::MS_SYNC.cast_unsigned()),
                    expected,
                    "{number} of {arch:#x}"
                );
            }
        }
        assert_eq!(verdict(0xc000_00f3, number, 0), SECCOMP_RET_ALLOW, "a riscv64 host goes without");
    }
}

#[test]
fn msync_is_held_only_where_it_would_wait() {
    for Calls { arch, msync, .. } in &KNOWN {
        assert_eq!(verdict(*arch, *msync, libc::MS_SYNC.cast_unsigned()), NOTHING_DONE);
        assert_eq!(
            verdict(*arch, *msync, (libc::MS_SYNC | libc::MS_INVALIDATE).cast_unsigned()),
            NOTHING_DONE
        );
        assert_eq!(verdict(*arch, *msync, libc::MS_ASYNC.cast_unsigned()), SECCOMP_RET_ALLOW);
    }
}

#[test]
fn the_numbers_are_those_of_the_c_library() {
    let here = [
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_sync,
        libc::SYS_syncfs,
        libc::SYS_msync,
        libc::SYS_mknodat,
    ];
    let known = KNOWN.iter().any(|calls| {
        let [fsync, fdatasync, sync, syncfs, _] = calls.held;
        here == [fsync, fdatasync, sync, syncfs, calls.msync, calls.mknodat].map(libc::c_long::from)
    });
    assert_eq!(
        known,
        cfg!(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64", target_arch = "arm"))
    );
}
