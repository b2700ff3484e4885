/// The images that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Kind {
    /// Debian arm64 with apt, laid out like Raspberry Pi OS
    RaspiosArm64,
    /// Debian armhf with apt, laid out like Raspberry Pi OS
    RaspiosArmhf,
    /// Debian arm64 with apt, laid out like a Radxa board's image: GPT, root in partition 3
    GptArm64,
    /// The layout of raspios-arm64 with a busybox for a root
    RaspiosArm64Tiny,
    /// The layout of raspios-armhf with a busybox for a root
    RaspiosArmhfTiny,
    /// The layout of gpt-arm64 with a busybox for a root
    GptArm64Tiny,
    /// The same as raspios-arm64-tiny with Debian's Python besides
    RaspiosArm64Python,
    /// Laid out like Ubuntu's image for Raspberry Pi, with a busybox for a root
    UbuntuArm64Tiny,
    /// Laid out like BeagleBoard.org's images, root in partition 3, with a busybox for a root
    BeagleboneArmhfTiny,
    /// Debian arm64 with apt, laid out like Armbian: one partition, and a package repository of its own
    ArmbianArm64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arch {
    Arm64,
    Armhf,
}

impl Arch {
    /// Debian's name of it.
    pub(super) fn debian(self) -> &'static str {
        match self {
            Arch::Arm64 => "arm64",
            Arch::Armhf => "armhf",
        }
    }

    /// The name of the folders that hold its libraries.
    pub(super) fn multiarch(self) -> &'static str {
        match self {
            Arch::Arm64 => "aarch64-linux-gnu",
            Arch::Armhf => "arm-linux-gnueabihf",
        }
    }
}

impl Kind {
    /// The name that the files of this image carry.
    pub fn name(self) -> &'static str {
        match self {
            Kind::RaspiosArm64 => "raspios-arm64",
            Kind::RaspiosArmhf => "raspios-armhf",
            Kind::GptArm64 => "gpt-arm64",
            Kind::RaspiosArm64Tiny => "raspios-arm64-tiny",
            Kind::RaspiosArmhfTiny => "raspios-armhf-tiny",
            Kind::GptArm64Tiny => "gpt-arm64-tiny",
            Kind::RaspiosArm64Python => "raspios-arm64-python",
            Kind::UbuntuArm64Tiny => "ubuntu-arm64-tiny",
            Kind::BeagleboneArmhfTiny => "beaglebone-armhf-tiny",
            Kind::ArmbianArm64 => "armbian-arm64",
        }
    }

    /// Whether its root is a busybox, so that it can be made without running ARM code.
    pub fn is_tiny(self) -> bool {
        !matches!(self, Kind::RaspiosArm64 | Kind::RaspiosArmhf | Kind::GptArm64 | Kind::ArmbianArm64)
    }

    /// Whether its root holds a Python.
    pub(super) fn has_python(self) -> bool {
        self == Kind::RaspiosArm64Python
    }

    pub(super) fn arch(self) -> Arch {
        match self {
            Kind::RaspiosArmhf | Kind::RaspiosArmhfTiny | Kind::BeagleboneArmhfTiny => Arch::Armhf,
            _ => Arch::Arm64,
        }
    }

    /// Fixed, as if drawn once: the MBR's disk id, and the start of the GPT's.
    pub(super) fn disk_id(self) -> u32 {
        match self {
            Kind::RaspiosArm64 => 0x4e1a_7c35,
            Kind::RaspiosArmhf => 0x9b82_d0f6,
            Kind::GptArm64 => 0x73f5_1e08,
            Kind::RaspiosArm64Tiny => 0x5d03_be91,
            Kind::RaspiosArmhfTiny => 0xa7c6_4e28,
            Kind::GptArm64Tiny => 0x16d9_82ab,
            Kind::RaspiosArm64Python => 0x8c3e_f154,
            Kind::UbuntuArm64Tiny => 0x2f61_0bd7,
            Kind::BeagleboneArmhfTiny => 0xe05a_93c8,
            Kind::ArmbianArm64 => 0x64b7_2d1e,
        }
    }

    /// The root's file system UUID. Images with the same root share it.
    pub(super) fn root_uuid(self) -> &'static str {
        match (self.arch(), self.is_tiny()) {
            _ if self.has_python() => "52d8b6e1-97f4-4c0a-8b35-c46d1e7f90a2",
            (Arch::Arm64, false) => "3f0c8d5e-6a1b-4c72-9e84-d1b7a05f2c36",
            (Arch::Armhf, false) => "b85e21f7-0d94-4a3c-8f16-5c7e93a2d048",
            (Arch::Arm64, true) => "e7a4936b-52cf-4d08-b1e3-08f6c41d9a75",
            (Arch::Armhf, true) => "1c96f0d2-e83a-47b5-a2d9-74b03e5f81c6",
        }
    }
}
