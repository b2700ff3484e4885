//! `-only` and `-except`.

use regex::Regex;

use crate::glob;
use crate::{Build, Error, PostProcessor, Template};

impl Template {
    /// The builds that are left by `-only` and `-except`, whose patterns match whole names of builds.
    ///
    /// A pattern of `except` that matches the name of a post-processor leaves that out, and those after it in its group.
    ///
    /// # Errors
    ///
    /// Where nothing is left, or a pattern cannot be read.
    pub fn select(&self, only: &[String], except: &[String]) -> Result<Vec<Build>, Error> {
        let (only, except) = (compiled(only)?, compiled(except)?);
        let matches = |patterns: &[Regex], name: &str| patterns.iter().any(|pattern| pattern.is_match(name));
        let mut builds: Vec<Build> = self
            .builds
            .iter()
            .filter(|build| only.is_empty() || matches(&only, &build.name))
            .filter(|build| !matches(&except, &build.name))
            .cloned()
            .collect();
        for build in &mut builds {
            for group in &mut build.post_processors {
                // One without a name is called by its type.
                let left_out = |processor: &PostProcessor| {
                    matches(&except, processor.name.as_ref().unwrap_or(&processor.kind))
                };
                if let Some(index) = group.iter().position(left_out) {
                    group.truncate(index);
                }
            }
            build.post_processors.retain(|group| !group.is_empty());
        }
        if builds.is_empty() { Err(Error::nothing_selected(&self.builds)) } else { Ok(builds) }
    }
}

fn compiled(patterns: &[String]) -> Result<Vec<Regex>, Error> {
    // Several may stand in one argument, with commas, as Packer takes them; a comma within braces is the pattern's own.
    let mut all = Vec::new();
    for argument in patterns {
        for pattern in split(argument) {
            all.push(
                glob::compile(pattern, false)
                    .ok_or_else(|| Error::Pattern { pattern: pattern.to_owned() })?,
            );
        }
    }
    Ok(all)
}

fn split(argument: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let parts = argument.split(|letter| {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}
