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
        }
    }

    /// Whether its root is a busybox, so that it can be made without running ARM code.
    pub fn is_tiny(self) -> bool {
        matches!(self, Kind::RaspiosArm64Tiny | Kind::RaspiosArmhfTiny | Kind::GptArm64Tiny)
    }

    pub(super) fn arch(self) -> Arch {
        match self {
            Kind::RaspiosArmhf | Kind::RaspiosArmhfTiny => Arch::Armhf,
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
        }
    }

    /// The root's file system UUID. Images with the same root share it.
    pub(super) fn root_uuid(self) -> &'static str {
        match (self.arch(), self.is_tiny()) {
            (Arch::Arm64, false) => "3f0c8d5e-6a1b-4c72-9e84-d1b7a05f2c36",
            (Arch::Armhf, false) => "b85e21f7-0d94-4a3c-8f16-5c7e93a2d048",
            (Arch::Arm64, true) => "e7a4936b-52cf-4d08-b1e3-08f6c41d9a75",
            (Arch::Armhf, true) => "1c96f0d2-e83a-47b5-a2d9-74b03e5f81c6",
        }
    }
}
