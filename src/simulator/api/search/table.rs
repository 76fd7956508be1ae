//! The results of `/csv-search` as comma-separated values, as Solr writes them: one line a person. Pure; called by `search`.

use super::document::Document;

/// The fields a client may choose from with `fl`, in the order they have otherwise.
const FIELDS: &[&str] = &[
    "orcid",
    "email",
    "given-names",
    "family-name",
    "given-and-family-names",
    "current-institution-affiliation-name",
    "past-institution-affiliation-name",
    "credit-name",
    "other-names",
];

/// The table; `chosen` are field names between commas, of which unknown ones are left out.
pub(super) fn text<'d>(chosen: Option<&str>, documents: impl Iterator<Item = &'d Document>) -> String {
    let fields: Vec<&str> = match chosen {
        Some(chosen) => {
            chosen.split(',').map(str::trim).filter(|name| FIELDS.contains(name)).take(FIELDS.len()).collect()
        }
        None => FIELDS.to_vec(),
    };
    let mut text = line(fields.iter().map(|name| (*name).to_owned()));
    for document in documents {
        text.push_str(&line(fields.iter().map(|field| document.values(field).collect::<Vec<_>>().join(","))));
    }
    text
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let mut line = cells.map(|cell| quoted(&cell)).collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}

fn quoted(cell: &str) -> String {
    if !cell.contains([',', '"', '\r', '\n']) {
        return cell.to_owned();
    }
    format!("\"{}\"", cell.replace('"', "\"\""))
}
