//! What is printed of an answer, and whether it is a success.

use std::io::{self, IsTerminal};

use anyhow::{anyhow, bail};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::request::Request;
use super::text;
use crate::cli::client::Answer;
use crate::web::dead_letters::Dropped;
use crate::web::handled::Marked;

/// What is printed, and the error if it is no success.
pub(super) type Report = (String, anyhow::Result<()>);

/// What went wrong before and in the end.
pub(super) fn both(first: anyhow::Result<()>, last: anyhow::Result<()>) -> anyhow::Result<()> {
    match (first, last) {
        (Err(first), Err(last)) => Err(anyhow!("{first:#}\n{last:#}")),
        (first, last) => first.and(last),
    }
}

/// What is read of a refusal, and of the answer to a replay: a reply, or that it has to wait.
#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(default)]
    queued: bool,
    #[serde(default)]
    ok: bool,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<ReplyError>,
}

#[derive(Deserialize)]
struct ReplyError {
    message: String,
    remedy: String,
}

pub(super) fn report(request: &Request, answer: &Answer, json: bool) -> anyhow::Result<Report> {
    let result = answer.json.as_str();
    let or_json = |text: String| if json { format!("{result}\n") } else { text };
    Ok(match request {
        Request::Replay(id) => {
            let reply: Reply<'_> = serde_json::from_str(result)?;
            let end = carried_out(&reply)
                .map_err(|error| error.context(format!("dead letter {id}: the command was not carried out")));
            (or_json(result_of(&reply)), end)
        }
        _ if !answer.is_success => (String::new(), carried_out(&serde_json::from_str(result)?)),
        Request::List(listed) => {
            let mut dead_letters = listed.filter(serde_json::from_str(result)?);
            dead_letters.reverse();
            let text = match json {
                true => text::lines(&dead_letters),
                false => text::table(&dead_letters, io::stdout().is_terminal()),
            };
            (text, Ok(()))
        }
        Request::Show(_) => (or_json(text::pretty(result)), Ok(())),
        Request::Handled(to_mark) => {
            let marked: Marked = serde_json::from_str(result)?;
            let word = if to_mark.handled { "handled" } else { "not handled" };
            let text = format!("{} marked as {word}\n", marked.marked);
            (or_json(text), all_there(&marked.missing))
        }
        Request::Drop { .. } => {
            let dropped: Dropped = serde_json::from_str(result)?;
            let text = format!("{} dropped\n", dropped.dropped);
            (or_json(text), all_dropped(&dropped))
        }
    })
}

fn all_dropped(dropped: &Dropped) -> anyhow::Result<()> {
    let waiting = match dropped.waiting.is_empty() {
        true => Ok(()),
        false => Err(anyhow!(
            "not dropped, since the replay waits in the inbox: {}; drop it when the bridge has carried the replay out, \
             and start the bridge if none runs",
            listed(&dropped.waiting)
        )),
    };
    both(waiting, all_there(&dropped.missing))
}

fn all_there(missing: &[Uuid]) -> anyhow::Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let missing = listed(missing);
    bail!("not in the archive: {missing}; lantime2mqtt dead-letters list shows those that are")
}

fn listed(ids: &[Uuid]) -> String {
    ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(", ")
}

fn result_of(reply: &Reply<'_>) -> String {
    match reply {
        Reply { queued: true, .. } => {
            "no bridge runs, so the command waits in the inbox: it is carried out at the next start, and a failure is a new dead letter\n".to_owned()
        }
        Reply { ok: true, result: Some(result), .. } => {
            format!("carried out:\n{}", text::pretty(result.get()))
        }
        _ => String::new(),
    }
}

/// Why the bridge refused.
pub(super) fn refusal(json: &str) -> anyhow::Result<()> {
    carried_out(&serde_json::from_str(json)?)
}

fn carried_out(reply: &Reply<'_>) -> anyhow::Result<()> {
    match &reply.error {
        _ if reply.queued || reply.ok => Ok(()),
        Some(error) => Err(anyhow!("{}; {}", error.message, error.remedy)),
        None => Err(anyhow!("the bridge does not say why; see its log")),
    }
}
