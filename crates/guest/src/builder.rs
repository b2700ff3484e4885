//! The description of a guest, and how it becomes a command line and open files.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    io::{self, BufReader},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::sys::statvfs;

use crate::{
    Error, Guest,
    available::{available, network_available, version},
    initramfs::Archive,
    libraries, modules,
    passed::{Passed, anonymous_file, nowhere, spawn},
    setup::{self, Settings},
};

/// Where guest memory can live, in this order: Docker leaves 64 MB in the first.
const MEMORY_FOLDERS: [&str; 3] = ["/dev/shm", "/tmp", "/var/tmp"];
/// slirp's own name server, a relay to the host's.
const SLIRP_NAME_SERVER: &str = "10.0.2.3";

/// A guest to be [started](Self::start).
#[derive(Debug, Clone)]
pub struct Builder {
    search: Vec<PathBuf>,
    memory: u64,
    memory_folders: Vec<PathBuf>,
    init: PathBuf,
    arguments: Vec<OsString>,
    job: Option<PathBuf>,
    shares: Vec<(PathBuf, PathBuf)>,
    disk: Option<PathBuf>,
    files: Vec<(PathBuf, PathBuf)>,
    network: bool,
    host: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            search: Vec::new(),
            memory: 512 << 20,
            memory_folders: MEMORY_FOLDERS.map(PathBuf::from).to_vec(),
            init: PathBuf::new(),
            arguments: Vec::new(),
            job: None,
            shares: Vec::new(),
            disk: None,
            files: Vec::new(),
            network: false,
            host: false,
        }
    }
}

impl Builder {
    /// The folders to look for `linux.uml` and `slirp-fullbolt` in, before `/usr/bin`.
    #[must_use]
    pub fn search(mut self, folders: &[PathBuf]) -> Self {
        self.search = folders.to_vec();
        self
    }

    /// The guest's memory in bytes, 512 MiB if never called; taken from the host as it is used.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// The folder that holds the guest's memory, as an unlinked file, where it has the space; else `/dev/shm`, `/tmp`
    /// or `/var/tmp`.
    #[must_use]
    pub fn memory_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.memory_folders.insert(0, folder.into());
        self
    }

    /// The guest's first program, with its shared libraries; it has to call [`init`](crate::init) when
    /// [`is_init`](crate::is_init) says so.
    #[must_use]
    pub fn init(mut self, program: impl Into<PathBuf>) -> Self {
        self.init = program.into();
        self
    }

    /// What [`arguments`](crate::arguments) gives in the guest.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The host folder that the guest sees, read-write with this user's rights, at `/job`.
    #[must_use]
    pub fn job(mut self, folder: impl Into<PathBuf>) -> Self {
        self.job = Some(folder.into());
        self
    }

    /// Shows the host's folder `source` as well, read-write with this user's rights, at `target`, an absolute path in
    /// the guest.
    #[must_use]
    pub fn share(mut self, source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.shares.push((source.into(), target.into()));
        self
    }

    /// The raw image that the guest sees, read-write, as the disk `/dev/ubda` with its partitions.
    #[must_use]
    pub fn disk(mut self, image: impl Into<PathBuf>) -> Self {
        self.disk = Some(image.into());
        self
    }

    /// Copies the host's file `source` to `target`, an absolute path in the guest.
    #[must_use]
    pub fn file(mut self, source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.files.push((source.into(), target.into()));
        self
    }

    /// Whether the guest can reach what the host's user can, by address translation; off if never called.
    #[must_use]
    pub fn network(mut self, network: bool) -> Self {
        self.network = network;
        self
    }

    /// Shows the host's whole tree, read-write with this user's rights, at `/host`: meant for tests.
    #[must_use]
    pub fn share_host(mut self) -> Self {
        self.host = true;
        self
    }

    /// Boots the kernel and returns when the guest's program is about to be called.
    ///
    /// # Errors
    ///
    /// Whatever is missing (each with a [hint](Error::hint)), [`Error::SetUp`] when init could not set the guest up,
    /// [`Error::Died`] with the console's last lines when the kernel ended before that.
    pub fn start(&self) -> Result<Guest, Error> {
        let kernel = available(&self.search)?;
        let mut passed = Passed::default();
        let mut command = Command::new(&kernel);
        command.arg(format!("mem={}M", self.memory.div_ceil(1 << 20)));
        // A folder that is gone: the kernel insists on a place for its pid file and control socket, and must not get it.
        let memory = self.place_for_memory()?;
        let nowhere = passed.add(nowhere(memory)?);
        command.arg(format!("uml_dir={nowhere}/")).arg("umid=guest");

        let mut settings = Settings { host: self.host, ..Settings::default() };
        // Only one folder can be what hostfs is confined to.
        let confined = !self.host && self.shares.is_empty();
        for (source, target) in &self.shares {
            settings.shares.push((passed.add(open_folder(source)?), target.display().to_string()));
        }
        if let Some(folder) = &self.job {
            let folder = passed.add(open_folder(folder)?);
            if !confined {
                settings.job = Some(folder);
            } else {
                command.arg(format!("hostfs={folder}"));
                settings.job = Some(String::new());
            }
        } else if confined {
            // Nothing to share: confine hostfs to the folder that is gone.
            command.arg(format!("hostfs={nowhere}"));
        }
        if let Some(path) = &self.disk {
            let open = |source| Error::Disk { path: path.clone(), source };
            let disk = OpenOptions::new().read(true).write(true).open(path).map_err(open)?;
            // `d`: an image that looks like a copy-on-write overlay must not name other files of the host.
            command.arg(format!("ubd0d={}", passed.add(disk)));
        }
        if self.network {
            command.arg(format!("eth0=slirp,,{}", network_available(&self.search)?.display()));
            let host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
            // A server on the host's loopback can be reached through slirp's relay only.
            let direct =
                setup::name_servers(&host).filter(|server| !server.starts_with("127.") && *server != "::1");
            let servers = std::iter::once(SLIRP_NAME_SERVER).chain(direct);
            settings.name_servers = Some(servers.map(str::to_owned).collect());
        }
        command.arg(format!("initrd={}", passed.add(self.initramfs(&kernel, &settings)?)));

        let line = |line| move |source| Error::Line { line, source };
        let console = anonymous_file(c"guest-console").map_err(line("console"))?;
        let (channel, inner) = UnixStream::pair().map_err(line("channel"))?;
        let channel_number = passed.number(inner);
        let (status, inner) = UnixStream::pair().map_err(line("status line"))?;
        let status_number = passed.number(inner);
        let (terminal, inner) = UnixStream::pair().map_err(line("terminal line"))?;
        let terminal_number = passed.number(inner);
        let console_number = passed.number(console.try_clone().map_err(line("console"))?);
        command
            .args(["con=null", "ssl=null", "quiet"])
            .arg(format!("con0=null,fd:{console_number}"))
            .arg(format!("ssl0=fd:{channel_number}"))
            .arg(format!("ssl1=fd:{status_number}"))
            .arg(format!("ssl2=fd:{terminal_number}"))
            // What the kernel does not know and has a `=` becomes init's environment.
            .arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env_clear()
            .env("TMPDIR", memory)
            // slirp does not start without one, and must not read the user's settings there.
            .env("HOME", "/nonexistent")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(console.try_clone().map_err(line("console"))?)
            .stderr(console.try_clone().map_err(line("console"))?);
        let (end, lifeline) = io::pipe().map_err(line("lifeline"))?;
        let keeper = spawn(&mut command, end, &passed).map_err(|source| Error::Start { kernel, source })?;
        // The guest's ends must not stay open here: their closing is how its end is seen.
        drop(passed);

        let status = BufReader::new(status);
        let mut guest = Guest { channel, terminal, status, console, keeper, lifeline: Some(lifeline) };
        guest.ready()?;
        Ok(guest)
    }

    fn initramfs(&self, kernel: &Path, settings: &Settings) -> Result<File, Error> {
        let file = anonymous_file(c"guest-initramfs").map_err(|source| Error::Initramfs { source })?;
        let mut archive = Archive::new(file);
        archive.directory(Path::new(setup::FOLDER))?;
        archive.device(Path::new("/dev/console"), 5, 1)?;
        archive.bytes(Path::new(setup::SETTINGS), 0o644, settings.to_text().as_bytes())?;
        let mut arguments = Vec::new();
        for argument in &self.arguments {
            arguments.extend_from_slice(argument.as_bytes());
            arguments.push(0);
        }
        archive.bytes(Path::new(setup::ARGUMENTS), 0o644, &arguments)?;
        for (position, module) in modules::files(&version(kernel)?, modules::NEEDED)?.iter().enumerate() {
            let name = module.file_name().unwrap_or(OsStr::new("module.ko"));
            let name = format!("{position:02}-{}", name.to_string_lossy());
            archive.file(module, &Path::new(setup::MODULES).join(name))?;
        }
        archive.file(&self.init, Path::new("/init"))?;
        let libraries = libraries::libraries(&self.init)?;
        for library in &libraries {
            archive.file(library, library)?;
        }
        // glibc's loader finds libraries outside its two default folders by this list; the paths are the same.
        let cache = Path::new("/etc/ld.so.cache");
        if !libraries.is_empty() && cache.exists() {
            archive.file(cache, cache)?;
        }
        for (source, target) in &self.files {
            archive.file(source, target)?;
        }
        archive.finish()
    }

    fn place_for_memory(&self) -> Result<&Path, Error> {
        let fits = |folder: &&PathBuf| {
            statvfs::statvfs(folder.as_path()).is_ok_and(|system| {
                let free = system.blocks_available().saturating_mul(system.fragment_size());
                // The kernel's own code runs from that file, too.
                free >= self.memory && !system.flags().contains(statvfs::FsFlags::ST_NOEXEC)
            })
        };
        let folder = self.memory_folders.iter().find(fits);
        folder
            .map(PathBuf::as_path)
            .ok_or_else(|| Error::NoMemory { size: self.memory, folders: self.memory_folders.clone() })
    }
}

fn open_folder(path: &Path) -> Result<File, Error> {
    let options = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path);
    options.map_err(|source| Error::Read { path: path.into(), source })
}
