//! Templates of Packer's.

use std::path::PathBuf;

use clap::Args;

use super::values;

/// What a template is read with.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Templates")]
pub(crate) struct Variables {
    /// Set a variable of the template; PKR_VAR_NAME in the environment
    /// does so, too
    #[arg(long, value_name = "K=V", value_parser = values::key_and_value, requires = "template")]
    pub(crate) var: Vec<(String, String)>,
    /// Set the variables that a *.pkrvars.hcl or JSON file sets
    #[arg(long, value_name = "PATH", requires = "template")]
    pub(crate) var_file: Vec<PathBuf>,
    /// Build only those whose names match, such as '*.pi'
    #[arg(long, value_name = "NAME", requires = "template")]
    pub(crate) only: Vec<String>,
    /// Leave out the builds and post-processors whose names match
    #[arg(long, value_name = "NAME", requires = "template")]
    pub(crate) except: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Without --list, the plan of each build is printed, as by build --dry-run.

Example:
  arm-image validate kitchen.pkr.hcl --var hostname=kitchen")]
pub(crate) struct Validate {
    /// A file, or a folder with *.pkr.hcl in it
    pub(crate) template: PathBuf,
    #[command(flatten)]
    pub(crate) variables: Variables,
    /// List variables, locals, builds and what they do; needs no values
    #[arg(long)]
    pub(crate) list: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
