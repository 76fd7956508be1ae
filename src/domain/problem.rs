//! [`Problem`]: one complaint about something a sysadmin wrote. Readers of configuration, policies and
//! certificates collect them all instead of stopping at the first (`design.md` §4).

use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// Whether a problem stops the start or is only worth saying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Error,
    Warning,
}

/// One complaint: where, what was found, what was expected, how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub severity: Severity,
    /// The file, when the value came from one.
    pub file: Option<PathBuf>,
    /// One-based.
    pub line: Option<usize>,
    /// The key as the file spells it, such as `rule[2].scopes`, or an environment variable.
    pub key: Option<String>,
    /// What is wrong, in one sentence that can stand alone. Never contains a secret.
    pub message: String,
    /// What was found there, if showing it is safe.
    pub found: Option<String>,
    pub expected: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Problem {
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: None,
            line: None,
            key: None,
            message: message.into(),
            found: None,
            expected: None,
            remedy: None,
        }
    }

    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    pub fn file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    pub fn line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    pub fn found(mut self, found: impl fmt::Display) -> Self {
        self.found = Some(found.to_string());
        self
    }

    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    /// Several lines: `file:line: key: message`, then found, expected and remedy, indented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.severity {
            Severity::Error => "error: ",
            Severity::Warning => "warning: ",
        })?;
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)?;
        for (word, text) in [("found", &self.found), ("expected", &self.expected), ("remedy", &self.remedy)] {
            if let Some(text) = text {
                write!(f, "\n    {word:<9} {text}")?;
            }
        }
        Ok(())
    }
}
