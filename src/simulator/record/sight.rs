//! [`Sight`]: who is looking at a record and what of it they see (`orcid.md` §8.4). Made by `api` from a token,
//! asked by every view.

use super::item::{Item, Source};
use super::visibility::Visibility;

/// What a reader may see of one record.
#[derive(Clone, Debug, Default)]
pub(in crate::simulator) struct Sight {
    /// The client that asks, on the member API; it sees whatever it wrote itself.
    pub(in crate::simulator) client: Option<String>,
    pub(in crate::simulator) public: bool,
    /// What is for trusted parties.
    pub(in crate::simulator) limited: bool,
    /// Every e-mail address, private ones included (`/email/read-private`).
    pub(in crate::simulator) all_emails: bool,
}

/// Why one item is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Hidden {
    /// The token does not go that far.
    Scope,
    /// It would go far enough, but the item is for the person alone.
    Private,
}

impl Sight {
    /// What everybody sees.
    pub(in crate::simulator) fn public() -> Self {
        Self { public: true, ..Self::default() }
    }

    /// Whether a thing of this visibility is shown; `source` is who wrote it, where that is known.
    pub(in crate::simulator) fn look(&self, visibility: Visibility, source: Option<&Source>) -> Result<(), Hidden> {
        let own = self.client.as_deref().zip(source).is_some_and(|(client, source)| source.is_client(client));
        match visibility {
            _ if own => Ok(()),
            Visibility::Public if self.public => Ok(()),
            Visibility::Limited if self.limited => Ok(()),
            Visibility::Private if self.limited => Err(Hidden::Private),
            _ => Err(Hidden::Scope),
        }
    }

    pub(in crate::simulator) fn sees<T>(&self, item: &Item<T>) -> bool {
        self.look(item.visibility, Some(&item.source)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sees_what() {
        use Visibility::{Limited, Private, Public};
        let (everybody, scope, private) = (Sight::public(), Err(Hidden::Scope), Err(Hidden::Private));
        let trusted = Sight { limited: true, client: Some("APP-1".into()), ..Sight::public() };
        let webhook = Sight { client: Some("APP-1".into()), ..Sight::default() };
        let (holder, own, other) = (Source::holder(), Source::client("APP-1"), Source::client("APP-2"));
        let table = [
            (&everybody, [Ok(()), scope, scope], [Ok(()), scope, scope], [Ok(()), scope, scope]),
            (&trusted, [Ok(()), Ok(()), private], [Ok(()); 3], [Ok(()), Ok(()), private]),
            (&webhook, [scope; 3], [Ok(()); 3], [scope; 3]),
        ];
        for (sight, of_holder, of_own, of_other) in table {
            for (source, expected) in [(&holder, of_holder), (&own, of_own), (&other, of_other)] {
                let found = [Public, Limited, Private].map(|visibility| sight.look(visibility, Some(source)));
                assert_eq!(found, expected, "{sight:?} {source:?}");
            }
        }
    }
}
