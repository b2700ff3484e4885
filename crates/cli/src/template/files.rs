//! The files of a template, and those that its functions see.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use arm_image_template::{Files, Text};

use super::{Problem, problem::outside};
use crate::Error;

/// No file that a template reads is larger, in bytes: they are texts.
const LARGEST: u64 = 64 << 20;
/// `fileset` finds no more files than that.
const MOST: usize = 100_000;

/// The file system as it is.
#[derive(Debug)]
pub(super) struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // A pipe would wait for its other end, and a device may have none.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 64 MiB"));
        }
        Ok(bytes)
    }

    fn exists(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut folders = vec![(folder.to_owned(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                // A name that is no UTF-8 cannot be written in a template either.
                let Ok(name) = entry.file_name().into_string() else { continue };
                let name = format!("{prefix}{name}");
                if entry.file_type()?.is_dir() {
                    folders.push((entry.path(), format!("{name}/")));
                } else if entry.path().is_file() {
                    found.push(name);
                }
                if found.len() + folders.len() > MOST {
                    return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many files are in there"));
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// The texts of a template.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) templates: Vec<Text>,
    pub(super) automatic: Vec<Text>,
    /// `path.root`.
    pub(super) root: PathBuf,
}

impl Texts {
    /// Those of the template at `path`: a file, or a folder with `*.pkr.hcl` in it.
    pub(super) fn load(path: &Path) -> Result<Texts, Error> {
        let is_folder = fs::metadata(path).map_err(unreadable(path))?.is_dir();
        let root = match path.parent() {
            _ if is_folder => path,
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let templates = match is_folder {
            true => named(root, &[".pkr.hcl", ".pkr.json"])?,
            false => vec![path.to_owned()],
        };
        let automatic = match is_json && !is_folder {
            true => Vec::new(),
            false => named(root, &[".auto.pkrvars.hcl", ".auto.pkrvars.json"])?,
        };
        if templates.is_empty() {
            let message = format!("there is no template in the folder `{}`", path.display());
            let hint = "templates in a folder are called *.pkr.hcl; one in JSON is given by its own name";
            return Err(Error::Template { problems: vec![outside(message, Some(hint.to_owned()))] });
        }
        let texts = |paths: Vec<PathBuf>| paths.iter().map(|path| text(path)).collect::<Result<_, _>>();
        Ok(Texts { templates: texts(templates)?, automatic: texts(automatic)?, root: root.into() })
    }
}

/// The files right in `folder` whose names end like that, in the order of their names.
fn named(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let name = entry.map_err(unreadable(folder))?.file_name();
        if name.to_str().is_some_and(|name| endings.iter().any(|ending| name.ends_with(ending))) {
            // So that messages name it as the user did.
            found.push(if folder == Path::new(".") { name.into() } else { folder.join(name) });
        }
    }
    found.sort();
    Ok(found)
}

/// A file as text.
pub(super) fn text(path: &Path) -> Result<Text, Error> {
    let bytes = Disk.read(path).map_err(unreadable(path))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| unreadable(path)(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")))?;
    Ok(Text::new(path.display().to_string(), text))
}

/// That a template is not there is a mistake in the command, like one in the template.
fn unreadable(path: &Path) -> impl Fn(io::Error) -> Error {
    move |cause| {
        let problem: Problem = outside(format!("`{}` cannot be read: {cause}", path.display()), None);
        Error::Template { problems: vec![problem] }
    }
}
