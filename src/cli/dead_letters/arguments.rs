//! What the command line of `dead-letters` takes.

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Span, SpanRelativeTo};

use super::ids::ShortId;
use crate::cli::ConfigFile;

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    #[command(subcommand)]
    pub(super) what: What,
    #[command(flatten)]
    pub(super) file: ConfigFile,
    /// JSON for machines instead of text for people.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum What {
    /// Lists them, the oldest first.
    List {
        /// Show only so many, the newest ones.
        #[arg(long, value_name = "NUMBER", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
        limit: Option<usize>,
        /// Show only those of this device; `bridge` for those of none.
        #[arg(long, value_name = "ID")]
        device: Option<String>,
        /// Show only those of that time until now: 24h, 7d.
        #[arg(long, value_name = "DURATION", value_parser = parse_span)]
        since: Option<SignedDuration>,
    },
    /// Shows one with all that is known.
    Show {
        /// Its id, or the beginning or end of it, at least 4 characters.
        id: ShortId,
    },
    /// Runs its command again.
    Replay {
        /// Its id, or the beginning or end of it, at least 4 characters.
        id: ShortId,
    },
    /// Marks them as handled: somebody has seen to them.
    Handled {
        /// Their ids, or the beginnings or ends of them, at least 4 characters each.
        #[arg(required = true)]
        ids: Vec<ShortId>,
        /// Who has; by default the user who runs this.
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// Remove the mark.
        #[arg(long, conflicts_with = "by")]
        undo: bool,
    },
    /// Drops them from the archive.
    Drop {
        /// Their ids, or the beginnings or ends of them, at least 4 characters each.
        #[arg(required_unless_present = "all")]
        ids: Vec<ShortId>,
        /// All of them. On a terminal it is asked for first.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Do not ask.
        #[arg(long, requires = "all")]
        yes: bool,
    },
}

fn parse_span(text: &str) -> Result<SignedDuration, String> {
    let span = text.trim().parse::<Span>().ok();
    let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let duration = duration.filter(SignedDuration::is_positive);
    duration.ok_or_else(|| "write a number above 0 and a unit, such as 24h or 7d".to_owned())
}
