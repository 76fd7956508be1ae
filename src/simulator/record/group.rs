//! Groups activities that are the same thing told by several sources: whatever shares an identifier is one group,
//! also by way of a third (`orcid.md` §8.6). Used by the lists of activities.

use super::external_id::ExternalId;
use super::item::Item;
use std::collections::HashMap;

/// What is one thing, and the identifiers it is known by.
pub(in crate::simulator) struct Group<'a, T> {
    pub(in crate::simulator) ids: Vec<&'a ExternalId>,
    /// At least one; the person's favourite (highest display index, then oldest) first.
    pub(in crate::simulator) items: Vec<&'a Item<T>>,
}

/// Groups `items`, keeping the order in which the groups begin. Only what is handed in is looked at, so that an
/// item somebody may not see joins nothing and adds no identifier.
pub(in crate::simulator) fn group<'a, T>(
    items: impl IntoIterator<Item = &'a Item<T>>,
    ids: impl Fn(&'a T) -> &'a [ExternalId],
) -> Vec<Group<'a, T>> {
    let mut heap = Heap { groups: Vec::new(), moved: Vec::new() };
    let mut known: HashMap<(String, String), usize> = HashMap::new();
    for item in items {
        let keyed: Vec<_> = ids(&item.content).iter().filter_map(|id| Some((id.group_key()?, id))).collect();
        let mut homes: Vec<usize> =
            keyed.iter().filter_map(|(key, _)| known.get(key)).map(|at| heap.home(*at)).collect();
        homes.sort_unstable();
        homes.dedup();
        let home = homes.first().copied().unwrap_or_else(|| heap.begin());
        for other in homes.into_iter().skip(1) {
            heap.merge(home, other);
        }
        let group = &mut heap.groups[home];
        group.items.push(item);
        for (key, id) in keyed {
            known.entry(key).or_insert_with(|| {
                group.ids.push(id);
                home
            });
        }
    }
    let mut groups = heap.groups;
    groups.retain(|group| !group.items.is_empty());
    for group in &mut groups {
        group.items.sort_by_key(|item| (-item.display_index, item.created, item.put_code));
    }
    groups
}

/// Groups in the making. One that was merged into another stays behind, empty.
struct Heap<'a, T> {
    groups: Vec<Group<'a, T>>,
    /// Where each group's content is now, at once or by way of others.
    moved: Vec<usize>,
}

impl<T> Heap<'_, T> {
    fn begin(&mut self) -> usize {
        self.groups.push(Group { ids: Vec::new(), items: Vec::new() });
        self.moved.push(self.moved.len());
        self.moved.len() - 1
    }

    fn home(&mut self, mut at: usize) -> usize {
        while self.moved[at] != at {
            // Halves the way for the next one who asks.
            self.moved[at] = self.moved[self.moved[at]];
            at = self.moved[at];
        }
        at
    }

    fn merge(&mut self, home: usize, other: usize) {
        let (ids, items) = {
            let merged = &mut self.groups[other];
            (std::mem::take(&mut merged.ids), std::mem::take(&mut merged.items))
        };
        self.groups[home].ids.extend(ids);
        self.groups[home].items.extend(items);
        self.moved[other] = home;
    }
}

#[cfg(test)]
mod tests {
    use super::super::external_id::Relationship;
    use super::super::item::{PutCodes, Source};
    use super::super::visibility::Visibility;
    use super::*;
    use crate::domain::UnixTime;

    type Ids<'i> = &'i [(&'i str, &'i str, Relationship)];

    fn shown(items: &[(i64, Ids<'_>)]) -> Vec<(Vec<i64>, Vec<String>)> {
        let mut codes = PutCodes::from(1);
        let items: Vec<Item<Vec<ExternalId>>> = items
            .iter()
            .map(|(display_index, ids)| Item {
                put_code: codes.next(),
                created: UnixTime(0),
                modified: UnixTime(0),
                source: Source::holder(),
                visibility: Visibility::Public,
                display_index: *display_index,
                content: ids
                    .iter()
                    .map(|&(kind, value, relationship)| ExternalId {
                        kind: kind.into(),
                        value: value.into(),
                        url: None,
                        relationship,
                    })
                    .collect(),
            })
            .collect();
        group(&items, |ids| ids)
            .iter()
            .map(|group| {
                let codes = group.items.iter().map(|item| item.put_code.number()).collect();
                (codes, group.ids.iter().map(|id| id.value.clone()).collect())
            })
            .collect()
    }

    #[test]
    fn what_shares_an_identifier_is_one_group() {
        use Relationship::{Itself, PartOf};
        let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        // Two spellings of one DOI; the favourite comes first.
        let found =
            shown(&[(0, &[("doi", "10.5555/A", Itself)]), (1, &[("doi", "https://doi.org/10.5555/a", Itself)])]);
        assert_eq!(found, [(vec![2, 1], owned(&["10.5555/A"]))]);
        // A journal in common is not enough, and nothing in common even less.
        let found = shown(&[(0, &[("issn", "0000-0000", PartOf)]), (0, &[("issn", "0000-0000", PartOf)]), (0, &[])]);
        assert_eq!(found, [(vec![1], vec![]), (vec![2], vec![]), (vec![3], vec![])]);
        // A third one joins two groups, and what comes later finds the joined one.
        let found = shown(&[
            (0, &[("doi", "10.5555/x", Itself)]),
            (0, &[("doi", "10.5555/z", Itself)]),
            (0, &[("doi", "10.5555/y", Itself)]),
            (0, &[("doi", "10.5555/y", Itself), ("doi", "10.5555/x", Itself)]),
            (0, &[("doi", "10.5555/y", Itself)]),
        ]);
        assert_eq!(found, [(vec![1, 3, 4, 5], owned(&["10.5555/x", "10.5555/y"])), (vec![2], owned(&["10.5555/z"]))]);
    }
}
