//! The text format of Prometheus, version 0.0.4. What is written is the caller's business.
//!
//! Of our own, since it is a page: `prometheus-client` keeps its values twice and writes OpenMetrics alone, which
//! `promtool check metrics` does not read.

use std::fmt::{Display, Write};

/// What a family is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Families and their samples, one after the other.
#[derive(Debug, Default)]
pub(super) struct Text {
    out: String,
}

impl Text {
    /// Begins a family: its samples follow. Neither text may need escapes.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A sample of the family begun last.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.out.push_str(name);
        let mut separator = '{';
        for (label, value) in labels {
            self.line(format_args!("{separator}{label}=\""));
            self.escaped(value);
            self.out.push('"');
            separator = ',';
        }
        self.out.push_str(if labels.is_empty() { " " } else { "} " });
        self.line(format_args!("{value}\n"));
    }

    /// A family with one sample.
    pub(super) fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// Which of the states it is in: 1 for that one, 0 for the others.
    pub(super) fn states(&mut self, name: &str, labels: &[(&str, &str)], states: (&str, &[&str]), is: &str) {
        let (label, states) = states;
        for state in states {
            let labels: Vec<_> = labels.iter().copied().chain([(label, *state)]).collect();
            self.sample(name, &labels, u8::from(*state == is));
        }
    }

    pub(super) fn into_string(self) -> String {
        self.out
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("a string takes everything");
    }

    fn escaped(&mut self, value: &str) {
        for char in value.chars() {
            match char {
                '\\' => self.out.push_str("\\\\"),
                '"' => self.out.push_str("\\\""),
                '\n' => self.out.push_str("\\n"),
                other => self.out.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_prometheus_reads_it() {
        let mut text = Text::default();
        text.single("plain", Kind::Counter, "One.", 7);
        text.family("state", Kind::Gauge, "Two.");
        let weird = [("device", "a\\b\"c\nd é")];
        text.states("state", &weird, ("position", &["NO", "NC"]), "NC");
        let expected = "# HELP plain One.\n# TYPE plain counter\nplain 7\n# HELP state Two.\n# TYPE state gauge\n\
            state{device=\"a\\\\b\\\"c\\nd é\",position=\"NO\"} 0\nstate{device=\"a\\\\b\\\"c\\nd é\",position=\"NC\"} 1\n";
        assert_eq!(text.into_string(), expected);
    }
}
