//! Sources, provisioners and post-processors from the keys that were read: the same for both syntaxes.

use std::time::Duration;

use crate::keys::Kind::{Duration as Length, Flag, Overrides, Text, Texts, Whole};
use crate::keys::Status::Current;
use crate::keys::{self, Content, Entry, Schema};
use crate::model::{PostProcessor, Provisioner, Settings, Source};
use crate::session::Session;
use crate::suggest;
use crate::text::Place;

/// The keys that every provisioner has.
static ANY_PROVISIONER: Schema = Schema {
    keys: &[
        ("name", Text, Current),
        ("only", Texts, Current),
        ("except", Texts, Current),
        ("override", Overrides, Current),
        ("pause_before", Length, Current),
        ("max_retries", Whole, Current),
        ("timeout", Length, Current),
    ],
    check: |settings| keys_exclude(settings),
};

/// The keys that every post-processor has.
static ANY_POST_PROCESSOR: Schema = Schema {
    keys: &[
        ("name", Text, Current),
        ("only", Texts, Current),
        ("except", Texts, Current),
        ("keep_input_artifact", Flag, Current),
    ],
    check: |settings| keys_exclude(settings),
};

fn keys_exclude(settings: &Settings) -> Vec<keys::Complaint> {
    if settings.has("only") && settings.has("except") {
        vec![keys::complaint(Some("except"), "`only` and `except` exclude each other", "keep one of them")]
    } else {
        Vec::new()
    }
}

/// Complains of a source's name that could not be a part of the names of files, as it is for outputs.
pub(crate) fn check_name(session: &Session<'_>, name: &str, place: &Place<'_>) {
    if ["", ".", ".."].contains(&name) || name.contains(|letter: char| letter == '/' || letter.is_control()) {
        let hint = "it becomes a part of the names of files, so it is no path".to_owned();
        session.error(place.text, &place.range, format!("a source cannot be called {name:?}"), hint);
    }
}

/// For which source things are put together.
pub(crate) struct Assembly<'a> {
    pub(crate) session: &'a Session<'a>,
    /// The names by which `only`, `except` and `override` mean this source.
    pub(crate) names: Vec<String>,
    /// Such names of all sources of the build.
    pub(crate) known: &'a [String],
    /// Whether values are taken as loosely as in JSON.
    pub(crate) weak: bool,
}

impl Assembly<'_> {
    pub(crate) fn source(
        &self,
        kind: &str,
        name: &str,
        place: &Place<'_>,
        entries: Vec<Entry<'_>>,
    ) -> Option<Source> {
        let Some(schema) = keys::source(kind) else {
            let message = format!("sources of the type `{kind}` are not supported");
            self.session.error(
                place.text,
                &place.range,
                message,
                suggest::hint(kind, keys::SOURCES.iter().copied()),
            );
            return None;
        };
        let owner = format!("source `{kind}.{name}`");
        let settings = schema.settings(self.session, &owner, place, entries, self.weak);
        Some(Source { kind: kind.to_owned(), name: name.to_owned(), settings, at: place.position() })
    }

    /// The provisioner, where it is one and is for this source.
    pub(crate) fn provisioner(
        &self,
        kind: &str,
        place: &Place<'_>,
        entries: Vec<Entry<'_>>,
    ) -> Option<Provisioner> {
        let Some(schema) = keys::provisioner(kind) else {
            let message = format!("provisioners of the type `{kind}` are not supported");
            let hint = suggest::hint(kind, keys::PROVISIONERS.iter().copied());
            self.session.error(place.text, &place.range, message, hint);
            return None;
        };
        let owner = format!("provisioner `{kind}`");
        let (common, mut entries) = split(entries, &ANY_PROVISIONER);
        let said = common.iter().find(|entry| entry.name == "override").map(|entry| entry.key.clone());
        let said = said.unwrap_or_else(|| place.range.clone());
        let common = ANY_PROVISIONER.settings(self.session, &owner, place, common, self.weak);
        self.check_names(&common, place);
        if let Some(setting) = common.get("override")
            && let Some(overrides) = setting.value.as_map()
        {
            self.check_known("override", overrides.keys(), &Place { text: place.text, range: said.clone() });
            for keys in self.names.iter().filter_map(|name| overrides.get(name)?.as_map()) {
                for (key, value) in keys {
                    entries.retain(|entry| entry.name != *key);
                    entries.push(Entry {
                        name: key.clone(),
                        text: place.text,
                        key: said.clone(),
                        value: said.clone(),
                        content: Content::Value(value.clone()),
                    });
                }
            }
        }
        let settings = schema.settings(self.session, &owner, place, entries, self.weak);
        self.is_meant(&common).then(|| Provisioner {
            kind: kind.to_owned(),
            settings,
            pause_before: duration(&common, "pause_before"),
            timeout: duration(&common, "timeout"),
            max_retries: common.whole("max_retries").unwrap_or(0),
            at: place.position(),
        })
    }

    /// The post-processor, where it is one and is for this source.
    pub(crate) fn post_processor(
        &self,
        kind: &str,
        place: &Place<'_>,
        entries: Vec<Entry<'_>>,
    ) -> Option<PostProcessor> {
        let Some(schema) = keys::post_processor(kind) else {
            let message = format!("post-processors of the type `{kind}` are not supported");
            let hint = match kind {
                "flash" | "arm-image" | "arm-image-flash" => Some(
                    "a finished image is written to a card by the tool of your choice, such as dd".to_owned(),
                ),
                _ => suggest::hint(kind, keys::POST_PROCESSORS.iter().copied()),
            };
            self.session.error(place.text, &place.range, message, hint);
            return None;
        };
        let owner = format!("post-processor `{kind}`");
        let (common, entries) = split(entries, &ANY_POST_PROCESSOR);
        let common = ANY_POST_PROCESSOR.settings(self.session, &owner, place, common, self.weak);
        self.check_names(&common, place);
        let settings = schema.settings(self.session, &owner, place, entries, self.weak);
        self.is_meant(&common).then(|| PostProcessor {
            kind: kind.to_owned(),
            name: common.text("name").map(str::to_owned),
            settings,
            keep_input_artifact: common.flag("keep_input_artifact"),
            at: place.position(),
        })
    }

    fn is_meant(&self, common: &Settings) -> bool {
        let names_this =
            |key| common.texts(key).iter().any(|name| self.names.iter().any(|known| known == name));
        (!common.has("only") || names_this("only")) && !names_this("except")
    }

    /// A name in `only` that is no source's would silently leave a step out.
    fn check_names(&self, common: &Settings, place: &Place<'_>) {
        for key in ["only", "except"] {
            self.check_known(key, common.texts(key), place);
        }
    }

    fn check_known(&self, key: &str, names: impl IntoIterator<Item: AsRef<str>>, place: &Place<'_>) {
        for name in names {
            let name = name.as_ref();
            if self.session.is_full() {
                return;
            }
            if !self.known.iter().any(|known| known == name) {
                let message = format!("`{key}` names `{name}`, which is no source of this build");
                let hint = suggest::hint(name, self.known.iter().map(String::as_str));
                self.session.warning(place.text, &place.range, message, hint);
            }
        }
    }
}

fn split<'e>(entries: Vec<Entry<'e>>, common: &Schema) -> (Vec<Entry<'e>>, Vec<Entry<'e>>) {
    entries.into_iter().partition(|entry| common.key(&entry.name).is_some())
}

fn duration(settings: &Settings, key: &str) -> Option<Duration> {
    let length = crate::functions::dates::duration(settings.text(key)?).ok()?;
    Duration::try_from(length).ok().filter(|length| !length.is_zero())
}
