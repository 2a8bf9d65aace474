//! A table of the configuration, read key by key: the table of keys says of each which type, bounds and default it has.
//!
//! Problems are collected, never returned, so that one run shows all of them; where a value is wrong, the default stands in
//! for it. Which keys there are and what they mean is not known here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use figment::value::{Dict, Value};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};

use super::keys::{self, Key, Kind, bare_or_quoted, join};
use super::parse;
use super::problem::{Findings, Problem, shown};
use super::settings::{self, Settings};
use crate::tls::ClientTls;
use crate::wording::quoted;

static EMPTY: Dict = Dict::new();

/// What all sections share while a configuration is read.
pub(super) struct Context<'a> {
    settings: &'a Settings,
    findings: RefCell<Findings>,
    // Reading the machine's CA certificates takes a while; a thousand devices shall do it once.
    tls: RefCell<HashMap<ClientTls, Option<String>>>,
}

impl<'a> Context<'a> {
    /// With what is known to be wrong, or doubtful, already.
    pub(super) fn new(settings: &'a Settings, findings: Findings) -> Context<'a> {
        Context {
            settings,
            findings: findings.into(),
            tls: RefCell::default(),
        }
    }

    /// What was found.
    pub(super) fn finish(self) -> Findings {
        self.findings.into_inner()
    }

    /// Why no TLS configuration can be made of `tls`, if so.
    pub(super) fn tls_fault(&self, tls: &ClientTls) -> Option<String> {
        let mut known = self.tls.borrow_mut();
        known
            .entry(tls.clone())
            .or_insert_with(|| tls.client_config().err().map(|error| error.to_string()))
            .clone()
    }
}

/// One table.
#[derive(Clone)]
pub(super) struct Section<'a> {
    context: &'a Context<'a>,
    /// As the table of keys has it: `devices.tls`.
    table: String,
    /// Where it stands: `devices[0].tls`.
    path: String,
    /// The same for people: `devices[0] ("m3000-a").tls`.
    label: String,
    values: &'a Dict,
}

impl<'a> Section<'a> {
    /// The whole.
    pub(super) fn root(context: &'a Context<'a>) -> Section<'a> {
        Section {
            context,
            table: String::new(),
            path: String::new(),
            label: String::new(),
            values: &context.settings.values,
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

    /// The value as it was written.
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.values.get(key)
    }

    fn key(&self, key: &str) -> &'static Key {
        keys::find(&self.table, key).expect("every key that is read is in the table of keys")
    }

    /// The value, where it is of the key's kind.
    fn given<T>(&self, key: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        let value = self.value(key)?;
        let (wanted, remedy) = self.kind(key);
        read(value).or_else(|| self.refused(key, wrong_kind(value, wanted, remedy)))
    }

    /// What the key is for, and how that is written.
    fn kind(&self, key: &str) -> (&'static str, String) {
        let known = self.key(key);
        match known.kind {
            Kind::Number => {
                let range = known.numbers();
                let remedy = format!("write a whole number from {} to {}", range.start(), range.end());
                ("a whole number", remedy)
            }
            Kind::Flag => ("true or false", "write true or false, without quotes".to_owned()),
            Kind::Texts | Kind::Secrets => ("a list of texts", format!(r#"write {key} = ["..", ".."]"#)),
            Kind::Table => ("a table", format!("write {key} = {{ KEY = VALUE, .. }}")),
            Kind::Tables => {
                let table = join(&self.label, key);
                let remedy = format!("write [[{table}]], in double brackets, above the keys of each");
                ("a list of tables", remedy)
            }
            _ => ("a text", "write it in double quotes".to_owned()),
        }
    }

    /// A text that stands for something else; `None` where it is wrong, or left out, and has no default.
    pub(super) fn parsed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Problem>) -> Option<T> {
        let known = self.key(key);
        self.refuse_missing(key);
        let refuse = |problem| self.refuse(key, problem);
        let given = self
            .given(key, Value::as_str)
            .and_then(|text| parse(text).map_err(refuse).ok());
        given.or_else(|| parse(known.default.as_ref()?.as_str()?).ok())
    }

    /// Refuses that a key is left out which must be there.
    fn refuse_missing(&self, key: &str) {
        let missing = self.key(key).missing().filter(|_| !self.has(key));
        missing.into_iter().for_each(|missing| self.refuse(key, missing));
    }

    /// A text that stands for something else, where the table of keys knows what is said of another.
    pub(super) fn read<T>(&self, key: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let wrong = || self.key(key).wrong();
        self.parsed(key, |text| parse(text).ok_or_else(wrong))
    }

    /// A text that is not empty.
    pub(super) fn filled(&self, key: &str) -> Option<String> {
        self.parsed(key, parse::filled)
    }

    /// A path; a relative one starts at the configuration file's directory.
    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.absolute(&self.filled(key)?))
    }

    /// That path, from the configuration file's directory on.
    pub(super) fn absolute(&self, path: &str) -> PathBuf {
        self.context.settings.base.join(path)
    }

    /// One of the words that the key allows: the name of a variant.
    pub(super) fn choice<T: Deserialize<'static>>(&self, key: &str) -> T {
        let word = self.read(key, |word| self.key(key).choice(word));
        let word: StrDeserializer<'_, Error> = word.expect("a choice has a default").into_deserializer();
        T::deserialize(word).expect("each choice is a variant")
    }

    pub(super) fn duration(&self, key: &str) -> Duration {
        let range = self.key(key).durations();
        let read = match self.value(key) {
            Some(Value::Num(..)) => self.refused(key, parse::no_unit(&range)),
            _ => self.parsed(key, parse::duration(range)),
        };
        let default = || parse::span(self.key(key).default.as_ref()?.as_str()?);
        read.or_else(default).unwrap_or_default()
    }

    pub(super) fn number(&self, key: &str) -> u32 {
        let known = self.key(key);
        let in_range = |number: i128| {
            u32::try_from(number)
                .ok()
                .filter(|number| known.numbers().contains(number))
        };
        let refused = || self.refused(key, Problem::new("out of range", self.kind(key).1));
        let number = self.typed(key, Value::to_i128);
        let number = number.and_then(|number| in_range(number).or_else(refused));
        let default = || in_range(known.default.as_ref()?.as_integer()?.into());
        number.or_else(default).unwrap_or_default()
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> bool {
        let default = || self.key(key).default.as_ref()?.as_bool();
        self.typed(key, Value::to_bool)
            .or_else(default)
            .unwrap_or_default()
    }

    /// A value that is no text, but comes as text from the environment.
    fn typed<T: FromStr>(&self, key: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let is_variable = self.context.settings.is_variable(&join(&self.path, key));
        self.given(key, |value| match is_variable {
            true => value.as_str()?.trim().parse().ok(),
            false => read(value),
        })
    }

    /// A list of texts.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        self.refuse_missing(key);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let texts = self.given(key, |value| value.as_array()?.iter().map(text).collect());
        texts.unwrap_or_default()
    }

    /// A table within this one; an empty one where there is none.
    pub(super) fn section(&self, key: &str) -> Section<'a> {
        let values = self.given(key, Value::as_dict);
        self.within(key, "", values.unwrap_or(&EMPTY))
    }

    /// Refuses what stands where a table within this one belongs, or one within that.
    pub(super) fn refuse_no_tables(&self) {
        let tables = keys::of_table(&self.table).filter(|key| key.kind == Kind::Table);
        tables.for_each(|key| self.section(key.name()).refuse_no_tables());
    }

    /// A list of tables; each is named by its number, and by its id where it has one.
    pub(super) fn tables(&self, key: &str) -> Vec<Section<'a>> {
        let list = self.given(key, Value::as_array).unwrap_or_default();
        let entry = |(index, value): (usize, &'a Value)| match value {
            Value::Dict(_, values) => Some(self.within(key, &format!("[{index}]"), values)),
            _ => {
                let remedy = "write { KEY = VALUE, .. }".to_owned();
                self.refused(&format!("{key}[{index}]"), wrong_kind(value, "a table", remedy))
            }
        };
        list.iter().enumerate().filter_map(entry).collect()
    }

    fn within(&self, key: &str, index: &str, values: &'a Dict) -> Section<'a> {
        // A slot's id is named too, but only a device is addressed by it from elsewhere in the file.
        let id = values.get("id").and_then(Value::as_str);
        let id = id.filter(|_| self.path.is_empty() && !index.is_empty());
        let id = id.map(|id| format!(" ({})", quoted(id))).unwrap_or_default();
        Section {
            context: self.context,
            table: join(&self.table, key),
            path: join(&self.path, key) + index,
            label: join(&self.label, key) + index + &id,
            values,
        }
    }

    /// Refuses every key, of this table and those within it, that is not in the table of keys.
    pub(super) fn refuse_unknown(&self) {
        for (name, value) in self.values {
            match (keys::find(&self.table, name).map(|key| key.kind), value) {
                (None, _) => {
                    let problem = Problem::new("unknown key", keys::remedy(name, &self.table));
                    self.refuse(&bare_or_quoted(name), problem);
                }
                (Some(Kind::Table), Value::Dict(_, values)) => self.within(name, "", values).refuse_unknown(),
                (Some(Kind::Tables), Value::Array(_, list)) => {
                    for (index, values) in list.iter().enumerate() {
                        let values = values.as_dict().unwrap_or(&EMPTY);
                        self.within(name, &format!("[{index}]"), values).refuse_unknown();
                    }
                }
                _ => {}
            }
        }
    }

    /// Notes a problem with that key; with `""`, with the section itself.
    pub(super) fn refuse(&self, key: &str, problem: Problem) {
        self.note(|findings| &mut findings.problems, key, problem);
    }

    /// Refuses the text, or one of the texts, that stands there.
    pub(super) fn refuse_text(&self, key: &str) {
        self.refuse(key, self.key(key).wrong());
    }

    /// As [`Section::refuse`]; gives nothing, in place of the value.
    fn refused<T>(&self, key: &str, problem: Problem) -> Option<T> {
        self.refuse(key, problem);
        None
    }

    /// Notes a warning about that key.
    pub(super) fn warn(&self, key: &str, problem: Problem) {
        self.note(|findings| &mut findings.warnings, key, problem);
    }

    fn note(&self, list: fn(&mut Findings) -> &mut Vec<Problem>, key: &str, problem: Problem) {
        let (path, label, value) = (join(&self.path, key), join(&self.label, key), self.shown(key));
        let (mut problem, is_inherited) = self.context.settings.located(&path, problem);
        problem.key = settings::key(&path, &label, is_inherited);
        problem.value = value;
        let findings = &mut *self.context.findings.borrow_mut();
        let list = list(findings);
        // One wrong default is wrong for every device.
        if !is_inherited || !list.iter().any(|other| other.is_alike(&problem)) {
            list.push(problem);
        }
    }

    /// The value as a problem may repeat it: not what is, or may be, a secret; where a table belongs, or under an unknown
    /// key, one may be in the wrong place.
    fn shown(&self, key: &str) -> Option<String> {
        let known = keys::find(&self.table, key)?;
        let may_be_secret = match known.kind {
            Kind::Secret | Kind::Secrets | Kind::Table => true,
            Kind::Tables => known.default.is_none(),
            _ => false,
        };
        self.value(key).filter(|_| !may_be_secret).and_then(shown)
    }
}

fn wrong_kind(value: &Value, wanted: &str, remedy: String) -> Problem {
    let found = match value {
        Value::String(..) | Value::Char(..) => "a text",
        Value::Bool(..) => "true or false",
        Value::Num(..) => "a number",
        Value::Empty(..) => "a date",
        Value::Dict(..) => "a table",
        Value::Array(..) => "a list",
    };
    let what = match found == wanted {
        true => format!("not {wanted}"),
        false => format!("{found} where {wanted} is needed"),
    };
    Problem::new(what, remedy)
}
