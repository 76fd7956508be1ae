//! Printing for people: problems with file and line, error chains in one message. Data goes to
//! stdout, everything else to stderr.

use crate::domain::Problem;
use std::io::Write;

/// One line on stdout.
pub(super) fn line(text: impl std::fmt::Display) {
    // A reader who has gone (`| head`) is not an error of ours.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// One line on stderr.
pub(super) fn aside(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A message with its causes; a cause that the message before it has told already is not repeated.
pub(super) fn fault(fault: &anyhow::Error) {
    aside(format_args!("lychgate: {fault}"));
    let mut told = fault.to_string();
    for cause in fault.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            aside(format_args!("    because   {cause}"));
        }
        told = cause;
    }
}

/// All problems, worst first, and how many there are.
pub(super) fn problems(problems: &[Problem]) {
    for problem in problems.iter().filter(|problem| problem.is_error()) {
        aside(problem);
    }
    for problem in problems.iter().filter(|problem| !problem.is_error()) {
        aside(problem);
    }
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let warnings = problems.len() - errors;
    if !problems.is_empty() {
        aside(format_args!("{errors} error{}, {warnings} warning{}", plural(errors), plural(warnings)));
    }
}

pub(super) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
