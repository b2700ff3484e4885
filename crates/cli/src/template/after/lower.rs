//! Post-processors from the keys of a template.

use arm_image_template::{Build, PostProcessor as Given};

use super::{After, Compression, Digest, PostProcessor};
use crate::template::{fields, lowering::Lowering, steps};

/// The groups of post-processors of `build`.
pub(in crate::template) fn lower(lowering: &mut Lowering<'_>, build: &Build) -> Vec<Vec<PostProcessor>> {
    let groups = build.post_processors.iter().map(|group| {
        let lowered = group.iter().filter_map(|given| {
            let work = work(lowering, build, given)?;
            // What does not make something else of the image leaves it.
            let keeps = !matches!(work, After::Compress { .. });
            Some(PostProcessor { work, keep_input: keeps || given.keep_input_artifact == Some(true) })
        });
        lowered.collect::<Vec<_>>()
    });
    groups.filter(|group| !group.is_empty()).collect()
}

fn work(lowering: &mut Lowering<'_>, build: &Build, given: &Given) -> Option<After> {
    let settings = &given.settings;
    let output = |usual: &str| settings.text("output").unwrap_or(usual).to_owned();
    let checked = |lowering: &mut Lowering<'_>, known: &[&str]| {
        if let Some(setting) = settings.get("output")
            && let Some(text) = setting.value.as_str()
        {
            lowering.refuse_deferred(&setting.at, text);
            steps::check_braces(lowering, setting, text, known);
        }
    };
    let filled = |output: &str, digest: &str| {
        fields::fill(output, |field| match field {
            ".BuildName" => Some(build.source.name.as_str()),
            ".BuilderType" => Some(build.source.kind.as_str()),
            ".ChecksumType" => Some(digest),
            _ => None,
        })
    };
    let at = settings.get("output").map_or(&given.at, |setting| &setting.at);
    let writes = |lowering: &mut Lowering<'_>, name: &str, shared| {
        lowering.written.add(name.as_ref(), at, shared);
    };
    match given.kind.as_str() {
        "checksum" => {
            checked(lowering, &[".BuildName", ".BuilderType", ".ChecksumType"]);
            let names = settings.texts("checksum_types");
            let named = |name: &&str| Digest::ALL.into_iter().find(|digest| digest.name() == *name);
            let mut digests: Vec<_> = names.iter().filter_map(named).collect();
            if digests.is_empty() {
                digests.push(Digest::Md5);
            }
            let output = output("packer_{{.BuildName}}_{{.BuilderType}}_{{.ChecksumType}}.checksum");
            for digest in &digests {
                writes(lowering, &filled(&output, digest.name()), true);
            }
            Some(After::Checksum { digests, output })
        }
        "compress" => {
            checked(lowering, &[".BuildName", ".BuilderType"]);
            let output = output("packer_{{.BuildName}}_{{.BuilderType}}");
            let name = filled(&output, "");
            writes(lowering, &name, false);
            let format = settings.get("format");
            let told = match format.and_then(|setting| setting.value.as_str()) {
                Some(format) => format!(".{}", format.trim_start_matches('.')),
                None => name,
            };
            let known = Compression::of_name(&told);
            if told.ends_with(".bgzf") {
                let hint = "gz is the same without an index: let the name end in .gz";
                let at = format.map_or(at, |setting| &setting.at);
                lowering.error(at, "archives in the format bgzf are not made", hint);
            } else if let (None, Some(setting)) = (known, format) {
                let message = format!("archives in the format {} are not made", told.trim_start_matches('.'));
                lowering.error(&setting.at, message, format!("there are {}", Compression::names()));
            }
            // As Packer has it where the name tells none.
            let compression = known.unwrap_or(Compression::TarGz);
            // As Packer: 0 is the usual level, and what is above the highest is the highest.
            let level = settings.whole("compression_level").filter(|&level| level > 0);
            let level = level.map(|level| u32::try_from(level.min(9)).unwrap_or(9));
            Some(After::Compress { compression, level, output })
        }
        "manifest" => {
            checked(lowering, &[".BuildName", ".BuilderType"]);
            if let Some(setting) = settings.get("custom_data") {
                steps::each_text(&setting.value, &mut |text| lowering.refuse_deferred(&setting.at, text));
            }
            let map = settings.get("custom_data").and_then(|setting| setting.value.as_map());
            let custom = map.into_iter().flatten();
            let output = output("packer-manifest.json");
            writes(lowering, &filled(&output, ""), true);
            Some(After::Manifest {
                output,
                strip_path: settings.flag("strip_path") == Some(true),
                strip_time: settings.flag("strip_time") == Some(true),
                custom_data: custom
                    .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                    .collect(),
            })
        }
        _ => {
            let local = steps::local(lowering, settings, &given.at, false)?;
            Some(After::Local(local))
        }
    }
}
