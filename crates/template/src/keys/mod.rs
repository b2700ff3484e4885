//! The keys that sources, provisioners and post-processors have, and values of the types these need.

mod fit;
mod post_processors;
mod provisioners;
mod sources;

use std::collections::BTreeMap;
use std::ops::Range;

pub(crate) use post_processors::{TYPES as POST_PROCESSORS, post_processor};
pub(crate) use provisioners::{TYPES as PROVISIONERS, provisioner};
pub(crate) use sources::{TYPES as SOURCES, source};

use crate::model::{Setting, Settings};
use crate::session::Session;
use crate::suggest;
use crate::text::Place;
use crate::{Text, Value};

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Flag,
    Whole,
    Duration,
    OneOf(&'static [&'static str]),
    Texts,
    Wholes,
    TextMap,
    /// Lists of type, device and folder.
    Mounts,
    /// Lists of words.
    Commands,
    /// Keys by the names of sources.
    Overrides,
    /// Blocks, or in JSON a list of objects.
    Blocks(&'static Schema),
}

/// Whether a key is still to be used.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Status {
    Current,
    /// Works; the text says what to write instead.
    Deprecated(&'static str),
    /// Does nothing here; the text says why.
    Ignored(&'static str),
    /// No longer works; the text says what to write instead.
    Removed(&'static str),
}

/// A key with what it takes.
pub(crate) type Key = (&'static str, Kind, Status);

/// The keys of a thing, and what has to hold between them.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) keys: &'static [Key],
    /// What is wrong with the whole: the key it concerns, if one, the message, and what would be right.
    pub(crate) check: fn(&Settings) -> Vec<Complaint>,
}

/// What is wrong with several keys together.
#[derive(Debug)]
pub(crate) struct Complaint {
    pub(crate) key: Option<&'static str>,
    /// The keys whose absence is wrong.
    pub(crate) missing: Vec<&'static str>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

pub(crate) fn complaint(key: Option<&'static str>, message: impl Into<String>, hint: &str) -> Complaint {
    let hint = (!hint.is_empty()).then(|| hint.to_owned());
    Complaint { key, missing: Vec::new(), message: message.into(), hint }
}

/// A complaint that one of `keys` has to be there.
pub(crate) fn missing(keys: &[&'static str], message: impl Into<String>, hint: &str) -> Complaint {
    Complaint { missing: keys.to_vec(), ..complaint(None, message, hint) }
}

/// Complains where not exactly one of `keys` was set.
pub(crate) fn one_of(settings: &Settings, keys: &'static [&'static str]) -> Vec<Complaint> {
    let set: Vec<&&str> = keys.iter().filter(|key| settings.has(key)).collect();
    match set[..] {
        [] => vec![missing(keys, format!("one of {} is missing", suggest::list(keys)), "")],
        [_] => Vec::new(),
        [first, second, ..] => {
            vec![complaint(
                Some(second),
                format!("`{first}` and `{second}` exclude each other"),
                "keep one of them",
            )]
        }
    }
}

/// Complains for each of `keys` that was not set.
pub(crate) fn required(settings: &Settings, keys: &[&'static str]) -> Vec<Complaint> {
    let absent = keys.iter().filter(|key| !settings.has(key));
    absent.map(|key| missing(&[key], format!("the key `{key}` is missing"), "")).collect()
}

/// Complains of what is no `NAME=value` in the list of variables called `key`.
pub(crate) fn pairs(settings: &Settings, key: &'static str) -> Vec<Complaint> {
    let texts = settings.texts(key);
    let names = texts.iter().map(|pair| pair.split_once('=').map(|(name, _)| name));
    if names.clone().any(|name| name.is_none_or(str::is_empty)) {
        let message = format!("an element of `{key}` is not `NAME=value`");
        return vec![complaint(Some(key), message, "as in [\"LANG=C.UTF-8\"]")];
    }
    variables(key, names.flatten())
}

/// Complains of the first of `names` that a shell could not set.
pub(crate) fn variables<'n>(key: &'static str, names: impl IntoIterator<Item = &'n str>) -> Vec<Complaint> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let is_name = |name: &str| {
        !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit()) && name.chars().all(fits)
    };
    let wrong = names.into_iter().find(|name| !is_name(name));
    let message = |name| format!("`{key}`: no variable can be called {name:?}");
    let hint = "letters, digits and `_`, the first no digit";
    wrong.map(|name| complaint(Some(key), message(name), hint)).into_iter().collect()
}

/// A key as read, before it is known whether it is one.
pub(crate) struct Entry<'a> {
    pub(crate) name: String,
    pub(crate) text: &'a Text,
    /// Where its name stands.
    pub(crate) key: Range<usize>,
    /// Where its value stands.
    pub(crate) value: Range<usize>,
    pub(crate) content: Content<'a>,
}

pub(crate) enum Content<'a> {
    Value(Value),
    Blocks(Vec<(Range<usize>, Vec<Entry<'a>>)>),
    /// Reported already.
    Broken,
}

impl Schema {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.0 == name)
    }

    /// The settings that `entries` make, everything wrong with them reported.
    ///
    /// `weak` takes strings for bools and numbers, and single things for lists, as Packer's JSON does.
    pub(crate) fn settings(
        &self,
        session: &Session<'_>,
        owner: &str,
        place: &Place<'_>,
        entries: Vec<Entry<'_>>,
        weak: bool,
    ) -> Settings {
        let mut settings = BTreeMap::new();
        let mut places = BTreeMap::new();
        let mut empty = BTreeMap::new();
        // What was set, but wrongly, is not missing.
        let mut meant: Vec<String> = Vec::new();
        for entry in entries.into_iter().take_while(|_| !session.is_full()) {
            let Some((_, kind, status)) = self.key(&entry.name) else {
                // Packer puts these in by itself, and they may be written down.
                if !entry.name.starts_with("packer_") {
                    let hint = suggest::nearest(&entry.name, self.keys.iter().map(|key| key.0));
                    meant.extend(hint.map(str::to_owned));
                    let hint = hint.map(|name| format!("did you mean `{name}`?"));
                    session.error(
                        entry.text,
                        &entry.key,
                        format!("{owner} has no key `{}`", entry.name),
                        hint,
                    );
                }
                continue;
            };
            match status {
                Status::Current | Status::Ignored(_) => {}
                Status::Deprecated(instead) => {
                    let message = format!("the key `{}` is deprecated", entry.name);
                    session.warning(entry.text, &entry.key, message, (*instead).to_owned());
                }
                Status::Removed(instead) => {
                    let message = format!("the key `{}` is no longer there", entry.name);
                    session.error(entry.text, &entry.key, message, (*instead).to_owned());
                    continue;
                }
            }
            places.insert(entry.name.clone(), (entry.text, entry.key.clone()));
            let (text, range, name, key) =
                (entry.text, entry.value.clone(), entry.name.clone(), entry.key.clone());
            match fit::fit(session, owner, kind, entry, weak) {
                Ok(Value::Null) => drop(places.remove(&name)),
                // As to Packer, whose keys are empty until they are set; but a file may have no content.
                Ok(value) if name != "content" && value.is_empty() => {
                    places.remove(&name);
                    empty.insert(name, (text, key));
                }
                // The content of a file may be anything.
                Ok(value) if name != "content" && value.has_zero() => {
                    session.error(
                        text,
                        &range,
                        format!("the key `{name}`: a zero byte cannot be in it"),
                        None,
                    );
                    meant.push(name);
                }
                Ok(value) => {
                    // What is switched off has no effect anywhere.
                    if let Status::Ignored(why) = status
                        && value != Value::Bool(false)
                    {
                        let message = format!("the key `{name}` has no effect: {why}");
                        session.warning(text, &key, message, None);
                    }
                    settings.insert(name, Setting { value, at: text.position(key.start) });
                }
                Err(Some((message, hint))) => {
                    session.error(text, &range, format!("the key `{name}`: {message}"), hint);
                    meant.push(name);
                }
                Err(None) => meant.push(name),
            }
        }
        let settings = Settings(settings);
        for found in (self.check)(&settings) {
            let at = found.key.and_then(|key| places.get(key));
            match at {
                Some((text, range)) => session.error(text, range, found.message, found.hint),
                None if found.missing.iter().any(|key| meant.iter().any(|name| name == key)) => {}
                None => {
                    let said = found.missing.iter().find_map(|key| Some((key, empty.get(*key)?)));
                    if let Some((key, (text, range))) = said {
                        session.error(text, range, format!("the key `{key}` is empty"), found.hint);
                        continue;
                    }
                    session.error(place.text, &place.range, format!("{owner}: {}", found.message), found.hint)
                }
            }
        }
        settings
    }
}
