//! [`SiteName`]: the operator's name for a protected application.

use super::client::{BadName, check_name};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// 1 to 64 characters out of `a-z`, `0-9`, `-`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteName(Arc<str>);

impl SiteName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SiteName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        check_name(text, 64)?;
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for SiteName {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<SiteName> for String {
    fn from(name: SiteName) -> String {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
