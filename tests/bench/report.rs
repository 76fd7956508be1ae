//! What comes out: tables for people (Markdown) and the same figures as JSON.

use crate::machine;
use serde::Serialize;
use std::fmt::Write;

/// A table with what it was measured by.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    pub title: String,
    /// The command that repeats it.
    pub command: String,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
    /// What a reader has to know, and what the budgets demand.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub figures: Vec<Figure>,
}

/// A number as it was measured, and as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub value: f64,
    #[serde(skip)]
    pub shown: String,
}

impl Figure {
    /// With so many digits behind the point, and a unit.
    pub fn new(value: f64, digits: usize, unit: &str) -> Self {
        Self { value, shown: format!("{value:.digits$}{unit}") }
    }

    pub fn ratio(value: f64) -> Self {
        Self::new(value, 2, " ×")
    }
}

/// How a figure stands to the most that `design.md` §7 allows.
pub fn verdict(what: &str, found: f64, most: f64) -> String {
    let word = if found <= most { "kept" } else { "missed" };
    format!("Budget, {what}: at most {most}; {found:.2}, {word}.")
}

impl Table {
    pub fn new(title: &str, command: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        let runner = if machine::guided() { "tests/bench/run --guided" } else { "tests/bench/run" };
        let command = command.replacen("tests/bench/run", runner, 1);
        Self { title: title.to_owned(), command, columns, rows: Vec::new(), notes: Vec::new() }
    }

    pub fn row(&mut self, name: impl Into<String>, figures: Vec<Figure>) {
        self.rows.push(Row { name: name.into(), figures });
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub fn markdown(&self) -> String {
        let mut text = format!("### {}\n\n`{}`\n\n|", self.title, self.command);
        for column in &self.columns {
            let _ = write!(text, " {column} |");
        }
        let _ = writeln!(text, "\n|---|{}", "---:|".repeat(self.columns.len().saturating_sub(1)));
        for row in &self.rows {
            let shown: Vec<&str> = row.figures.iter().map(|figure| figure.shown.as_str()).collect();
            let _ = writeln!(text, "| {} | {} |", row.name, shown.join(" | "));
        }
        for note in &self.notes {
            let _ = write!(text, "\n{note}\n");
        }
        text
    }
}
