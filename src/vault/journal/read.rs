//! Reads a journal from its header to its end, checking every frame. Used at every start.

use super::{Entry, FRAMING, HEADER, Identity, LONGEST_FRAME, MAGIC, Mark, TAG, chain, header, origin};
use crate::vault::VaultFault;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// What to tell an operator whose journal is broken.
const REMEDY: &str = "Restore it from a backup. If the store beside it is whole, moving the journal away makes the \
                      next start write a new one from the store; if the store is lost too, its connections are lost.";

/// A journal that has been read to its end.
#[derive(Debug)]
pub(in crate::vault) struct Reading {
    /// Length after the last rewriting.
    pub(in crate::vault) base: u64,
    /// Behind the last whole frame.
    pub(in crate::vault) mark: Mark,
    /// Bytes of an unfinished frame behind it.
    pub(in crate::vault) torn: u64,
    pub(in crate::vault) frames: u64,
}

/// Reads the journal and shows every frame, and the mark it ends at, to `visit`; `None` when there is
/// no journal. A last frame that was cut short is left out and counted. Anything else that does not
/// verify is [`VaultFault::Damaged`]: what follows it may be all that is left of a connection.
pub(in crate::vault) fn read(
    identity: &Identity,
    visit: &mut dyn FnMut(Mark, Vec<Entry>),
) -> Result<Option<Reading>, VaultFault> {
    let path = &identity.path;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(VaultFault::file("open", path)(fault)),
    };
    let length = file.metadata().map_err(VaultFault::file("look at", path))?.len();
    let mut file = BufReader::with_capacity(1 << 18, file);
    let (generation, base) = read_header(identity, &mut file)?;
    let mut mark = Mark { generation, end: HEADER, tag: origin(identity, generation) };
    visit(mark, Vec::new());
    let mut frames = 0;
    while mark.end < length {
        match next_frame(identity, &mut file, mark, length).map_err(VaultFault::file("read", path))? {
            Some((next, entries)) => {
                mark = next;
                frames += 1;
                visit(mark, entries);
            }
            None => {
                refuse_unless_torn(identity, file.get_mut(), mark, length)?;
                break;
            }
        }
    }
    if mark.end < base {
        return Err(damaged(path, format!("it ends at byte {} although {base} were once written", mark.end)));
    }
    Ok(Some(Reading { base, mark, torn: length - mark.end, frames }))
}

fn damaged(path: &Path, what: String) -> VaultFault {
    VaultFault::Damaged { path: path.to_owned(), what, remedy: REMEDY }
}

/// Generation and base.
fn read_header(identity: &Identity, file: &mut impl Read) -> Result<(u64, u64), VaultFault> {
    let bad = |what: &str| damaged(&identity.path, what.to_owned());
    let mut found = [0; HEADER as usize];
    file.read_exact(&mut found).map_err(|_| bad("its header is cut short"))?;
    if found[..8] != MAGIC {
        return Err(bad("it does not begin as a journal does"));
    }
    if found[8..24] != identity.store_id {
        return Err(bad("it belongs to another vault"));
    }
    let number = |at: usize| u64::from_be_bytes(*found[at..].first_chunk().expect("within the header"));
    let (generation, base) = (number(24), number(32));
    if header(identity, generation, base).0 != found {
        return Err(bad("its header was changed"));
    }
    Ok((generation, base))
}

/// The frame behind `before`; `None` when what stands there is not one.
fn next_frame(
    identity: &Identity,
    file: &mut impl Read,
    before: Mark,
    length: u64,
) -> std::io::Result<Option<(Mark, Vec<Entry>)>> {
    let left = length - before.end;
    let mut size = [0; 4];
    if left < FRAMING {
        return Ok(None);
    }
    file.read_exact(&mut size)?;
    let size = u64::from(u32::from_be_bytes(size));
    if size > LONGEST_FRAME || size + FRAMING > left {
        return Ok(None);
    }
    let mut payload = vec![0; usize::try_from(size).expect("at most a few megabytes")];
    let mut tag = [0; TAG];
    file.read_exact(&mut payload)?;
    file.read_exact(&mut tag)?;
    if chain(&identity.key, &before.tag, &payload) != tag {
        return Ok(None);
    }
    let Ok(entries) = postcard::from_bytes(&payload) else { return Ok(None) };
    Ok(Some((Mark { end: before.end + FRAMING + size, tag, ..before }, entries)))
}

/// The frame behind `last` does not verify. It may be dropped only if it was the last one being written:
/// no longer than a frame, and with no whole frame anywhere behind it.
fn refuse_unless_torn(identity: &Identity, file: &mut File, last: Mark, length: u64) -> Result<(), VaultFault> {
    let path = &identity.path;
    let what = || format!("the frame at byte {} does not verify", last.end);
    if length - last.end > LONGEST_FRAME + FRAMING {
        return Err(damaged(path, what()));
    }
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(last.end))
        .and_then(|_| file.read_to_end(&mut rest))
        .map_err(VaultFault::file("read", path))?;
    // A frame can stand behind any sixteen bytes: those would be the MAC before it.
    for at in 1..rest.len().saturating_sub(TAG) {
        let (before, behind) = (&rest[at..at + TAG], &rest[at + TAG..]);
        let Some((size, behind)) = behind.split_first_chunk::<4>() else { break };
        let size = u32::from_be_bytes(*size) as usize;
        let Some((payload, tag)) = behind.split_at_checked(size).and_then(|(p, t)| Some((p, t.first_chunk::<TAG>()?)))
        else {
            continue;
        };
        let before = before.try_into().expect("sixteen bytes");
        if chain(&identity.key, &before, payload) == *tag {
            return Err(damaged(path, format!("{}, and whole frames stand behind it", what())));
        }
    }
    Ok(())
}
