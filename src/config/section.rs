//! A table of the configuration, read key by key: each key is asked for once, with its type, and whatever
//! nobody has asked for is an unknown key.
//!
//! Problems are collected, never returned, so that one run shows all of them. Which keys there are and
//! what they mean is not known here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use figment::Figment;
use figment::value::{Dict, Value};

use super::parse;
use super::places;
use super::problem::{Complaint, Problem, complaint, is_secret, shown};
use crate::tls::ClientTls;
use crate::wording::quoted;

const A_TABLE: &str = "a table";
const A_LIST_OF_TABLES: &str = "a list of tables";
const TABLES: [&str; 2] = [A_TABLE, A_LIST_OF_TABLES];

/// What all sections share while a configuration is read.
pub(super) struct Context<'a> {
    base: &'a Path,
    layers: &'a Figment,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    // Reading the machine's CA certificates takes a while; a thousand devices shall do it once.
    tls: RefCell<HashMap<ClientTls, Option<String>>>,
}

impl<'a> Context<'a> {
    /// `base` is where relative paths start, `layers` knows which variable a value came from.
    pub(super) fn new(base: &'a Path, layers: &'a Figment) -> Context<'a> {
        Context {
            base,
            layers,
            problems: RefCell::default(),
            warnings: RefCell::default(),
            tls: RefCell::default(),
        }
    }

    /// Problems and warnings.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems.into_inner(), self.warnings.into_inner())
    }

    /// Why no TLS configuration can be made of `tls`, if so.
    pub(super) fn tls_fault(&self, tls: &ClientTls) -> Option<String> {
        let mut known = self.tls.borrow_mut();
        known
            .entry(tls.clone())
            .or_insert_with(|| tls.client_config().err().map(|error| error.to_string()))
            .clone()
    }

    fn variable(&self, value: &Value) -> Option<String> {
        let metadata = self.layers.get_metadata(value.tag())?;
        Some(metadata.source.as_ref()?.custom()?.to_owned())
    }
}

/// One table.
pub(super) struct Section<'a> {
    context: &'a Context<'a>,
    path: String,
    values: Dict,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(context: &'a Context<'a>, values: Dict) -> Section<'a> {
        Section::new(context, String::new(), values)
    }

    fn new(context: &'a Context<'a>, path: String, values: Dict) -> Section<'a> {
        Section {
            context,
            path,
            values,
            known: Vec::new(),
        }
    }

    /// What all sections share.
    pub(super) fn context(&self) -> &'a Context<'a> {
        self.context
    }

    /// Whether the key is there, be its value right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The value as it was written; it counts as asked for.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&Value> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.values.get(key)
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let value = self.value(key)?;
        match value.as_str() {
            Some(text) => Some(text.to_owned()),
            None => {
                self.refuse_kind(key, "a text", "write it in double quotes");
                None
            }
        }
    }

    /// A text that stands for something else.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        let text = self.text(key)?;
        parse(&text).map_err(|complaint| self.refuse(key, complaint)).ok()
    }

    /// A duration.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        if matches!(self.value(key), Some(Value::Num(..))) {
            self.refuse(key, parse::no_unit(&range));
            return None;
        }
        self.parsed(key, parse::duration(range))
    }

    /// A text that is not empty.
    pub(super) fn filled(&mut self, key: &'static str) -> Option<String> {
        self.parsed(key, |text| match text {
            "" => Err(complaint("empty", "write a value, or leave the key out")),
            _ => Ok(text.to_owned()),
        })
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let list = self.value(key)?.as_array();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let texts = list.and_then(|list| list.iter().map(text).collect());
        if texts.is_none() {
            self.refuse_kind(key, "a list of texts", &format!(r#"write {key} = ["..", ".."]"#));
        }
        texts
    }

    /// A path; a relative one starts at the configuration file's directory.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = self.filled(key)?;
        Some(self.context.base.join(path))
    }

    /// A whole number.
    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let remedy = format!("write a whole number from {} to {}", range.start(), range.end());
        let number = self.typed(key, Value::to_i128, "a whole number", &remedy)?;
        let number = u32::try_from(number).ok().filter(|n| range.contains(n));
        if number.is_none() {
            self.refuse(key, complaint("out of range", remedy));
        }
        number
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let remedy = "write true or false, without quotes";
        self.typed(key, Value::to_bool, "true or false", remedy)
    }

    /// A value that is no text, but comes as text from the environment.
    fn typed<T: FromStr>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
        wanted: &str,
        remedy: &str,
    ) -> Option<T> {
        let value = self.value(key)?.clone();
        let typed = match self.context.variable(&value) {
            Some(_) => value.as_str().and_then(|text| text.trim().parse().ok()),
            None => read(&value),
        };
        if typed.is_none() {
            self.refuse_kind(key, wanted, remedy);
        }
        typed
    }

    /// A table within this one; an empty one where there is none.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        let values = match self.value(key) {
            None => Dict::new(),
            Some(Value::Dict(_, values)) => values.clone(),
            Some(_) => {
                self.refuse_kind(key, A_TABLE, &format!("write {key} = {{ KEY = VALUE, .. }}"));
                Dict::new()
            }
        };
        Section::new(self.context, self.key_path(key), values)
    }

    /// A list of tables; each is named by its number, and by its id where it has one.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let list = match self.value(key) {
            None => return Vec::new(),
            Some(Value::Array(_, list)) => list.clone(),
            Some(_) => {
                let key_path = self.key_path(key);
                let remedy = format!("write [[{key_path}]], in double brackets, above the keys of each");
                self.refuse_kind(key, A_LIST_OF_TABLES, &remedy);
                return Vec::new();
            }
        };
        let entries = list.into_iter().enumerate();
        entries
            .filter_map(|(index, value)| self.table(format!("{}[{index}]", self.key_path(key)), value))
            .collect()
    }

    fn table(&self, path: String, value: Value) -> Option<Section<'a>> {
        let Value::Dict(_, values) = value else {
            let complaint = kind_complaint(&value, A_TABLE, "write { KEY = VALUE, .. }");
            self.refuse_hidden(path, &value, complaint);
            return None;
        };
        // A slot's id is named too, but only a device is addressed by it from far away in the file.
        let id = values.get("id").and_then(Value::as_str);
        let path = match id.filter(|_| self.path.is_empty()) {
            Some(id) => format!("{path} ({})", quoted(id)),
            None => path,
        };
        Some(Section::new(self.context, path, values))
    }

    /// Notes that a key which must be there is not.
    pub(super) fn need(&self, key: &str, remedy: &str) {
        if !self.has(key) {
            self.refuse(key, complaint("missing", remedy));
        }
    }

    /// Notes a problem with that key; with `""`, with the section itself.
    pub(super) fn refuse(&self, key: &str, complaint: Complaint) {
        self.note(&self.context.problems, key, complaint);
    }

    /// Notes a warning about that key.
    pub(super) fn warn(&self, key: &str, complaint: Complaint) {
        self.note(&self.context.warnings, key, complaint);
    }

    fn refuse_kind(&self, key: &str, wanted: &str, remedy: &str) {
        let Some(value) = self.values.get(key) else { return };
        let complaint = kind_complaint(value, wanted, remedy);
        if TABLES.contains(&wanted) {
            self.refuse_hidden(self.key_path(key), value, complaint);
        } else {
            self.refuse(key, complaint);
        }
    }

    /// Without the value: where a table belongs, or under an unknown key, it may be a secret gone astray.
    fn refuse_hidden(&self, key: String, value: &Value, Complaint { what, remedy }: Complaint) {
        self.context.problems.borrow_mut().push(Problem {
            key,
            value: None,
            variable: self.context.variable(value),
            what,
            remedy,
        });
    }

    fn note(&self, list: &RefCell<Vec<Problem>>, key: &str, Complaint { what, remedy }: Complaint) {
        let value = self.values.get(key);
        let key = self.key_path(key);
        let secret = key.rsplit('.').next().is_some_and(is_secret);
        list.borrow_mut().push(Problem {
            variable: value.and_then(|value| self.context.variable(value)),
            value: value.filter(|_| !secret).and_then(shown),
            key,
            what,
            remedy,
        });
    }

    fn key_path(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    /// Refuses every key that nobody has asked for.
    pub(super) fn finish(self) {
        let unknown = self
            .values
            .iter()
            .filter(|(key, _)| !self.known.contains(&key.as_str()));
        for (key, value) in unknown {
            let remedy = places::remedy(key, &self.path, &self.known);
            let path = self.key_path(&bare_or_quoted(key));
            self.refuse_hidden(path, value, complaint("unknown key", remedy));
        }
    }
}

fn kind_complaint(value: &Value, wanted: &str, remedy: &str) -> Complaint {
    let found = match value {
        Value::String(..) | Value::Char(..) => "a text",
        Value::Bool(..) => "true or false",
        Value::Num(..) => "a number",
        Value::Empty(..) => "a date",
        Value::Dict(..) => "a table",
        Value::Array(..) => "a list",
    };
    let what = if found == wanted {
        format!("not {wanted}")
    } else {
        format!("{found} where {wanted} is needed")
    };
    complaint(what, remedy)
}

fn bare_or_quoted(key: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !key.is_empty() && key.len() <= 80 && key.bytes().all(bare) {
        key.to_owned()
    } else {
        quoted(key)
    }
}
