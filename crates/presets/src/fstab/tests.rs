use proptest::prelude::*;

use super::*;

fn plain(text: &str, candidates: &[Candidate<'_>]) -> Vec<(u32, String)> {
    mounts(&parse(text), candidates)
        .into_iter()
        .map(|mount| (mount.number, mount.target.into_os_string().into_string().unwrap()))
        .collect()
}

fn numbered(number: u32) -> Candidate<'static> {
    Candidate { number, ..Candidate::default() }
}

#[test]
fn raspberry_pi_os_is_resolved_by_partuuid() {
    let text = "proc            /proc           proc    defaults          0       0\n\
                PARTUUID=0BCA6BA1-01  /boot/firmware  vfat    defaults          0       2\n\
                PARTUUID=0bca6ba1-02  /               ext4    defaults,noatime  0       1\n\
                # a swapfile is not a swap partition, no line here\n";
    let candidates = [
        Candidate { partuuid: Some("0bca6ba1-01"), ..numbered(1) },
        Candidate { partuuid: Some("0bca6ba1-02"), ..numbered(2) },
    ];
    assert_eq!(plain(text, &candidates), [(2, "/".into()), (1, "/boot/firmware".into())]);
}

#[test]
fn ubuntu_is_resolved_by_label_and_case_counts() {
    let text = "LABEL=writable\t/\text4\tdiscard,errors=remount-ro\t0 1\nLABEL=system-boot /boot/firmware vfat defaults 0 1\n";
    let candidates = [
        Candidate { label: Some("system-boot"), ..numbered(1) },
        Candidate { label: Some("writable"), ..numbered(2) },
    ];
    assert_eq!(plain(text, &candidates), [(2, "/".into()), (1, "/boot/firmware".into())]);
    assert_eq!(plain("LABEL=WRITABLE / ext4 defaults", &candidates), []);
}

#[test]
fn devices_count_by_number_on_the_first_disk_only() {
    for (device, number) in [
        ("/dev/mmcblk0p2", Some(2)),
        ("/dev/mmcblk1p13", Some(13)),
        ("/dev/sda2", Some(2)),
        ("/dev/vda1", Some(1)),
        ("/dev/nvme0n1p3", Some(3)),
        ("/dev/sdb1", None),
        ("/dev/sda", None),
        ("/dev/sda0", None),
        ("/dev/sda+1", None),
        ("/dev/mmcblk0", None),
        ("/dev/mmcblk0boot0", None),
        ("/dev/mapper/map1p2", None),
        ("/dev/sda99999999999", None),
    ] {
        let expected = number.map_or(Spec::Other(device.to_owned()), Spec::Device);
        assert_eq!(parse_spec(device), expected);
    }
}

#[test]
fn all_spellings_of_a_name_are_understood() {
    for (field, spec) in [
        ("UUID=5885-8F0E", Spec::Uuid("5885-8F0E".into())),
        ("UUID=\"5885-8F0E\"", Spec::Uuid("5885-8F0E".into())),
        ("/dev/disk/by-uuid/5885-8f0e", Spec::Uuid("5885-8f0e".into())),
        ("/dev/disk/by-partuuid/ab-01", Spec::PartUuid("ab-01".into())),
        ("LABEL=my\\040root", Spec::Label("my root".into())),
        ("/dev/disk/by-label/my\\x20root", Spec::Label("my root".into())),
        ("PARTLABEL=APP", Spec::PartLabel("APP".into())),
        ("tmpfs", Spec::Other("tmpfs".into())),
        ("//server/share", Spec::Other("//server/share".into())),
    ] {
        assert_eq!(parse_spec(field), spec);
    }
}

#[test]
fn what_is_not_mounted_at_start_is_left_out() {
    let text = "/dev/mmcblk0p1 /boot vfat noauto 0 0\n\
                /dev/mmcblk0p2 none swap sw 0 0\n\
                /dev/mmcblk0p2 swap swap defaults 0 0\n\
                /dev/mmcblk0p3 / ext4\n\
                /dev/mmcblk0p4 /data ext4 bind 0 0\n\
                /dev/mmcblk0p5 /home btrfs defaults,subvol=home 0 0\n\
                /dev/mmcblk0p6 /../etc ext4 defaults 0 0\n\
                /dev/mmcblk0p7 /efi vfat noauto,x-systemd.automount 0 0\n\
                /dev/mmcblk0p9 /absent ext4 defaults 0 0\n\
                tmpfs /tmp tmpfs defaults 0 0\n\
                broken\n";
    let candidates: Vec<_> = (1..=8).map(numbered).collect();
    assert_eq!(plain(text, &candidates), [(3, "/".into()), (5, "/home".into()), (7, "/efi".into())]);
}

#[test]
fn parents_come_first_and_the_later_of_two_counts() {
    let text = "/dev/sda1 /boot/firmware vfat defaults\n/dev/sda2 /boot/ ext4 defaults\n\
                /dev/sda3 // ext4 defaults\n/dev/sda4 /boot ext4 defaults\n";
    let candidates: Vec<_> = (1..=4).map(numbered).collect();
    assert_eq!(
        plain(text, &candidates),
        [(3, "/".into()), (4, "/boot".into()), (1, "/boot/firmware".into())]
    );
}

#[test]
fn only_options_that_choose_what_is_seen_are_kept() {
    let text = "UUID=ab / btrfs defaults,noatime,compress=zstd,subvol=@,x-systemd.device-timeout=0 0 0\n\
                UUID=ab /home btrfs rw,subvolid=256,subvol=/@home,nofail 0 0\n\
                UUID=ab /my\\040data btrfs subvol=my\\040data\n\
                UUID=cd /boot vfat ro,umask=0077,_netdev,x-mount.mkdir 0 2\n";
    let candidates =
        [Candidate { uuid: Some("AB"), ..numbered(2) }, Candidate { uuid: Some("cd"), ..numbered(1) }];
    let mount = |number, target: &str, options: &[&str]| Mount {
        number,
        target: target.into(),
        options: options.iter().map(|&option| option.to_owned()).collect(),
    };
    let expected = [
        mount(2, "/", &["subvol=@"]),
        mount(2, "/home", &["subvolid=256", "subvol=/@home"]),
        mount(2, "/my data", &["subvol=my data"]),
        mount(1, "/boot", &[]),
    ];
    assert_eq!(mounts(&parse(text), &candidates), expected);
}

#[test]
fn what_is_not_of_the_image_names_no_partition() {
    let text = "tmpfs /tmp tmpfs nosuid 0 0\nproc /proc proc defaults\n192.168.0.2:/srv /srv nfs4 _netdev\n\
                //server/share /mnt cifs guest\nsshfs#me@host: /far fuse\nhost:/vol /vol glusterfs\n\
                overlay /var overlay lowerdir=/a\n/swapfile none swap sw\n/dev/zram0 none swap sw\n\
                /dev/mapper/vg-root / ext4\n/dev/sdb1 /data ext4\n/dev/mmcblk0p1 /a\\000b vfat\n";
    assert_eq!(plain(text, &[numbered(1), numbered(2)]), []);
}

#[test]
fn a_partition_with_nothing_known_is_named_by_nothing() {
    assert_eq!(plain("UUID= / ext4 defaults\nLABEL= /x ext4 defaults", &[numbered(1)]), []);
}

proptest! {
    #[test]
    fn random_text_never_panics(text in "(?s).{0,200}") {
        let candidates = [numbered(1), numbered(2)];
        let _ = mounts(&parse(&text), &candidates);
    }

    #[test]
    fn nearly_right_lines_never_panic_and_stay_inside(
        spec in r"(/dev/(sda|mmcblk0p|nvme0n1p)[0-9]{0,3}|(PART)?(UUID|LABEL)=[a-z\\0-9x]{0,8})",
        target in r"[/.a-z\\0-9]{1,12}",
    ) {
        let entries = parse(&format!("{spec} {target} ext4 defaults 0 0"));
        for Mount { target, .. } in mounts(&entries, &[numbered(1), numbered(2)]) {
            prop_assert!(target.is_absolute());
            prop_assert!(!target.components().any(|component| component == Component::ParentDir));
        }
    }
}
