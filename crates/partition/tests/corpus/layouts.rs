//! Partition tables as they are found on images, made by the tools that make them there.

use Outcome::{Grows, Refused};
use Step::{Bytes, Parted, Sfdisk, SfdiskWith, Sgdisk};

/// What one tool does to the image.
#[derive(Debug)]
pub(crate) enum Step {
    /// A script for sfdisk.
    Sfdisk(&'static str),
    /// sfdisk's options, without the image.
    SfdiskWith(&'static str),
    /// parted's commands.
    Parted(&'static str),
    /// sgdisk's options.
    Sgdisk(&'static str),
    /// Bytes put at an offset.
    Bytes(u64, &'static [u8]),
}

/// What happens when the image is to grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// This partition grows, the last one on the disk.
    Grows(u32),
    /// Nothing does; a word of the reason.
    Refused(&'static str),
}

#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) name: &'static str,
    pub(crate) mebibytes: u64,
    pub(crate) steps: &'static [Step],
    pub(crate) outcome: Outcome,
}

const fn layout(name: &'static str, mebibytes: u64, steps: &'static [Step], outcome: Outcome) -> Layout {
    Layout { name, mebibytes, steps, outcome }
}

#[rustfmt::skip]
pub(crate) const LAYOUTS: &[Layout] = &[
    // Images for boards, with an MBR.
    layout("Raspberry Pi OS", 2804, &[Sfdisk("label: dos\nlabel-id: 0x0bca6ba1\nstart=16384,size=1048576,type=c\nstart=1064960,type=83\n")], Grows(2)),
    layout("Raspberry Pi OS, 2021", 1800, &[Sfdisk("label: dos\nstart=8192,size=524288,type=c\nstart=532480,type=83\n")], Grows(2)),
    layout("Ubuntu for the Raspberry Pi", 3600, &[Sfdisk("label: dos\nstart=2048,size=524288,type=c,bootable\nstart=526336,type=83\n")], Grows(2)),
    layout("BeagleBone, old", 3500, &[Sfdisk("label: dos\nstart=8192,type=83,bootable\n")], Grows(1)),
    layout("BeagleBone, new", 3500, &[Sfdisk("label: dos\nstart=8192,size=73728,type=c,bootable\nstart=81920,size=1048576,type=82\nstart=1130496,type=83\n")], Grows(3)),
    layout("Kali for the Raspberry Pi", 6500, &[Parted("mklabel msdos mkpart primary fat32 1MiB 257MiB mkpart primary ext3 257MiB 100%")], Grows(2)),
    layout("Armbian", 1500, &[Sfdisk("label: dos\nstart=8192,type=83\n")], Grows(1)),
    layout("Armbian for the Raspberry Pi", 2700, &[Sfdisk("label: dos\nstart=8192,size=1048576,type=c\nstart=1056768,type=83\n")], Grows(2)),
    layout("Armbian with /boot", 2000, &[Parted("mklabel msdos mkpart primary ext4 4MiB 260MiB mkpart primary btrfs 260MiB 100% set 1 boot on")], Grows(2)),
    layout("Fedora, minimal", 4000, &[Parted("mklabel msdos mkpart primary fat32 8MiB 509MiB mkpart primary ext4 509MiB 1533MiB mkpart primary ext4 1533MiB 100%")], Grows(3)),
    layout("Fedora with a logical root", 6000, &[Sfdisk("label: dos\nstart=2048,size=409600,type=6,bootable\nsize=1024000,type=83\nsize=999424,type=82\n4:type=5\n5:type=83\n")], Grows(5)),
    layout("Fedora Server", 5000, &[Sfdisk("label: dos\nsize=1026048,type=6\nsize=2097152,type=83\ntype=8e\n")], Refused("LVM2_member")),
    layout("Arch Linux ARM as its guide says", 2000, &[Sfdisk("label: dos\nsize=400M,type=c\ntype=83\n")], Grows(2)),
    layout("DietPi for the Raspberry Pi", 900, &[Sfdisk("label: dos\nstart=8192,size=262144,type=c\nstart=270336,type=83\n")], Grows(2)),
    layout("DietPi with a FAT behind the root", 800, &[Sfdisk("label: dos\nstart=8192,size=1597440,type=83\nstart=1605632,size=2048,type=c\n")], Grows(2)),
    layout("Home Assistant OS with logical partitions", 2100, &[Sfdisk("label: dos\nstart=2048,size=131072,type=c,bootable\nstart=133120,size=3000000,type=f\nstart=3133120,type=83\n5:start=135168,size=49152,type=83\n6:size=524288,type=83\n7:size=49152,type=83\n8:size=524288,type=83\n9:size=16384,type=83\n10:size=196608,type=83\n")], Grows(3)),
    layout("Home Assistant OS, data in the chain", 2100, &[Sfdisk("label: dos\nstart=2048,size=131072,type=c,bootable\ntype=5\nsize=49152,type=83\nsize=524288,type=83\nsize=196608,type=83\ntype=83\n")], Grows(8)),
    layout("openSUSE with an MBR", 1600, &[Sfdisk("label: dos\nstart=2048,size=131072,type=c\nsize=1024000,type=82\ntype=83,bootable\n")], Grows(3)),
    layout("Manjaro", 2500, &[Parted("mklabel msdos mkpart primary fat32 32M 256M mkpart primary ext4 256M 100% set 1 boot on")], Grows(2)),
    layout("Alpine", 100, &[Sfdisk("label: dos\nstart=2048,type=c,bootable\n")], Grows(1)),
    layout("OpenWrt", 176, &[Sfdisk("label: dos\nlabel-id: 0x5452574f\nstart=8192,size=131072,type=c,bootable\nstart=147456,size=212992,type=83\n")], Grows(2)),
    layout("NixOS", 1900, &[Sfdisk("label: dos\nlabel-id: 0x2178694e\nstart=8M,size=30M,type=b\nstart=38M,type=83,bootable\n")], Grows(2)),
    layout("Debian for the Raspberry Pi", 2500, &[Parted("mklabel msdos mkpart primary fat32 4MiB 20% mkpart primary ext4 20% 100%")], Grows(2)),
    layout("LibreELEC", 550, &[Parted("mklabel msdos mkpart primary fat32 8192s 1056767s set 1 boot on mkpart primary ext4 1056768s 1122303s")], Grows(2)),
    layout("Ubuntu for the Odroid XU4", 2000, &[Sfdisk("label: dos\nstart=2048,size=262144,type=c\nstart=264192,type=83\n")], Grows(2)),
    layout("Parallella", 1800, &[Sfdisk("label: dos\nstart=63,size=204800,type=c\nstart=204863,size=3000000,type=83\n")], Grows(2)),
    layout("Libre Computer with an MBR", 2500, &[Sfdisk("label: dos\nstart=2048,size=524288,type=ef,bootable\ntype=83\n")], Grows(2)),
    // Images for boards, with a GPT.
    layout("Radxa", 1500, &[Sfdisk("label: gpt\nstart=32768,size=32768,type=L,name=config\nstart=65536,size=614400,type=U,name=boot\nstart=679936,type=B921B045-1DF0-41C3-AF44-4C6F280D3FAE,name=rootfs,attrs=LegacyBIOSBootable\n")], Grows(3)),
    layout("Radxa Rock Pi 4, old", 2500, &[Sgdisk("-a 1 -n 1:64:8063 -c 1:loader1 -n 2:8064:8191 -c 2:reserved1 -n 3:16384:24575 -c 3:uboot -n 4:32768:1081343 -t 4:0700 -c 4:boot -A 4:set:2 -n 5:1081344:0 -c 5:rootfs")], Grows(5)),
    layout("Jetson Nano", 1024, &[Sgdisk("-n 1:24576:0 -c 1:APP -n 2:2048:2303 -c 2:TBC -n 3:4096:4991 -c 3:RP1 -n 4:6144:7295 -c 4:EBT -n 5:8192:8319 -c 5:WX0 -n 6:10240:10623 -c 6:BXF -n 7:12288:13055 -c 7:BXF-DTB -n 8:14336:14463 -c 8:FX -n 9:16384:17279 -c 9:TXS -n 10:18432:18815 -c 10:DTB -n 11:20480:21503 -c 11:RP4 -n 12:22528:22783 -c 12:LNX")], Grows(1)),
    layout("rock64", 2000, &[Sgdisk("-a 1 -n 1:64:8063 -c 1:loader1 -n 2:8064:8191 -c 2:reserved1 -n 3:8192:16383 -c 3:reserved2 -n 4:16384:24575 -c 4:loader2 -n 5:24576:32767 -c 5:atf -n 6:32768:262143 -t 6:0700 -c 6:boot -A 6:set:2 -n 7:262144:0 -t 7:8300 -c 7:root")], Grows(7)),
    layout("Armbian with a GPT", 2000, &[Sfdisk("label: gpt\nfirst-lba: 2048\n1:start=32768,size=524288,type=BC13C2FF-59E6-4262-A352-B275FD6F7172,name=bootfs\n2:start=557056,type=B921B045-1DF0-41C3-AF44-4C6F280D3FAE,name=rootfs\n")], Grows(2)),
    layout("Fedora with btrfs", 5000, &[Sgdisk("-n 1:8MiB:+500MiB -t 1:EF00 -c 1:EFI -n 2:0:+1024MiB -t 2:EA00 -n 3:0:0 -t 3:8305 -c 3:fedora")], Grows(3)),
    layout("openSUSE", 1800, &[Parted("mklabel gpt mkpart p.legacy 1MiB 3MiB mkpart p.UEFI fat32 3MiB 67MiB mkpart p.lxroot btrfs 67MiB 100% set 1 bios_grub on set 2 esp on")], Grows(3)),
    layout("DietPi for the RK3588", 900, &[Sfdisk("label: gpt\nstart=32768,size=1597440,type=L,name=rootfs\nstart=1630208,size=2048,type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7,name=DIETPISETUP\n")], Grows(2)),
    layout("Home Assistant OS with a GPT", 2000, &[Sgdisk("-a 8 -n 1:2048:+64M -t 1:EF00 -c 1:hassos-boot -n 2:0:+24M -t 2:26700fb0-b2a0-4b4f-b8a0-d4e0b2b1f6a1 -c 2:hassos-kernel0 -n 3:0:+256M -c 3:hassos-system0 -n 4:0:+24M -c 4:hassos-kernel1 -n 5:0:+256M -c 5:hassos-system1 -n 6:0:+8M -c 6:hassos-bootstate -n 7:0:+96M -c 7:hassos-overlay -n 8:0:0 -c 8:hassos-data")], Grows(8)),
    layout("Home Assistant OS, hybrid", 1000, &[Sgdisk("-n 1:2048:+64M -t 1:0C01 -c 1:hassos-boot -n 2:0:0 -c 2:hassos-data"), Sgdisk("--hybrid=1")], Refused("hybrid")),
    layout("Orange Pi of the vendor", 3000, &[Parted("mklabel gpt mkpart bootfs fat32 30MiB 286MiB mkpart rootfs ext4 286MiB 100%")], Grows(2)),
    layout("Libre Computer with a GPT", 2500, &[Sfdisk("label: gpt\nsize=256M,type=U,name=EFI\ntype=B921B045-1DF0-41C3-AF44-4C6F280D3FAE\n")], Grows(2)),
    // What no image above has.
    layout("one partition without a gap", 16, &[Sfdisk("label: dos\nstart=1,size=32767,type=83\n")], Grows(1)),
    layout("numbers against the order on the disk", 500, &[Sfdisk("label: dos\n1:start=700000,size=40001,type=83\n2:start=2048,size=8192,type=c\n4:start=20480,size=8192,type=83\n")], Grows(1)),
    layout("a gap behind the last", 500, &[Sfdisk("label: dos\nstart=2048,size=8192,type=c\nstart=20480,size=8192,type=83\n")], Grows(2)),
    layout("all four, unaligned", 300, &[Sfdisk("label: dos\nstart=63,size=1000,type=c\nstart=1063,size=999,type=83\nstart=2063,size=1,type=da\nstart=3001,size=12345,type=83\n")], Grows(4)),
    layout("an extended partition by parted", 800, &[Parted("mklabel msdos mkpart primary 1MiB 100MiB mkpart extended 100MiB 100% mkpart logical 101MiB 300MiB mkpart logical 301MiB 500MiB")], Grows(6)),
    layout("an extended partition of type 85", 800, &[Sfdisk("label: dos\n1:start=2048,size=20480,type=83\n3:start=22528,size=1000000,type=85\n5:start=24576,size=100000,type=83\n6:size=200000,type=83\n")], Grows(6)),
    layout("an extended partition in front of the others", 800, &[Sfdisk("label: dos\n1:start=2048,size=200000,type=5\n2:start=204800,size=100000,type=83\n5:size=20000,type=83\n6:size=20000,type=83\n")], Grows(2)),
    layout("a chain whose first partition was deleted", 800, &[Sfdisk("label: dos\n1:start=2048,size=1000000,type=5\n5:size=20000,type=83\n6:size=30000,type=83\n7:size=40000,type=83\n"), SfdiskWith("--delete IMAGE 5")], Grows(6)),
    layout("a chain whose middle was deleted", 800, &[Sfdisk("label: dos\n1:start=2048,size=1000000,type=5\n5:size=20000,type=83\n6:size=30000,type=83\n7:size=40000,type=83\n"), SfdiskWith("--delete IMAGE 6")], Grows(6)),
    layout("a chain against the order on the disk", 800, &[Sfdisk("label: dos\n1:start=2048,size=1000000,type=5\n5:start=500000,size=20000,type=83\n6:start=8192,size=30000,type=83\n7:start=100000,size=40000,type=83\n")], Grows(5)),
    layout("twenty logical partitions", 400, &[Sfdisk("label: dos\n1:start=2048,type=f\n5:size=8192,type=83\n6:size=8192,type=83\n7:size=8192,type=83\n8:size=8192,type=83\n9:size=8192,type=83\n10:size=8192,type=83\n11:size=8192,type=83\n12:size=8192,type=83\n13:size=8192,type=83\n14:size=8192,type=83\n15:size=8192,type=83\n16:size=8192,type=83\n17:size=8192,type=83\n18:size=8192,type=83\n19:size=8192,type=83\n20:size=8192,type=83\n21:size=8192,type=83\n22:size=8192,type=83\n23:size=8192,type=83\n24:size=8192,type=83\n")], Grows(24)),
    layout("LVM in a logical partition", 800, &[Sfdisk("label: dos\nsize=20000,type=83\ntype=5\ntype=8e\n")], Refused("LVM2_member")),
    layout("LUKS by the type of an MBR", 300, &[Sfdisk("label: dos\nsize=20000,type=83\ntype=e8\n")], Refused("crypto_LUKS")),
    layout("LVM by the type of a GPT", 300, &[Sgdisk("-n 1:0:+16M -n 2:0:0 -t 2:8E00")], Refused("LVM2_member")),
    layout("LUKS by the type of a GPT", 300, &[Sgdisk("-n 1:0:+16M -n 2:0:0 -t 2:8309")], Refused("crypto_LUKS")),
    layout("LVM that is not the last", 300, &[Sgdisk("-n 1:0:+16M -t 1:8E00 -n 2:0:0")], Grows(2)),
    layout("an empty extended partition behind the last", 300, &[Sfdisk("label: dos\nstart=2048,size=20000,type=83\ntype=5\n")], Refused("runs into")),
    layout("an MBR without partitions", 300, &[Sfdisk("label: dos\n")], Refused("no partitions")),
    layout("a GPT without partitions", 300, &[Sfdisk("label: gpt\n")], Refused("no partitions")),
    layout("boot code, and a type of zero", 300, &[Sfdisk("label: dos\nstart=2048,size=8192,type=83\nstart=10240,size=8192,type=83\n"), Bytes(0, &[0xeb; 440]), Bytes(446 + 4, &[0])], Grows(2)),
    layout("names and attributes", 300, &[Sfdisk("label: gpt\n3:size=8192,name=\"Wurzelverzeichnis für größere Öfen\",attrs=\"RequiredPartition,NoBlockIOProtocol,GUID:48,63\"\n9:size=8192,attrs=\"LegacyBIOSBootable,GUID:59\"\n100:size=8192,name=root\n")], Grows(100)),
    layout("more entries than usual", 300, &[Sfdisk("label: gpt\ntable-length: 256\n200:size=8192,name=root\n")], Grows(200)),
    layout("fewer entries than usual", 300, &[Sfdisk("label: gpt\ntable-length: 16\nsize=8192\nsize=16384\n")], Grows(2)),
    layout("entries that were moved", 300, &[Sgdisk("-n 1:16M:+16M -n 2:0:0"), Sgdisk("--move-main-table=4096")], Grows(2)),
    layout("partitions of one sector", 300, &[Sgdisk("-a 1 -n 1:34:34 -n 2:35:35 -n 3:36:36")], Grows(3)),
    layout("a GPT in a file of odd length", 300, &[Sfdisk("label: gpt\nsize=8192\n"), Bytes(300 * 1048576, &[0; 100])], Grows(1)),
];
