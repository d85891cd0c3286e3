//! When a file that changed is worth reading: once it has been the same for two looks. No I/O.
//!
//! A file that an editor or a copy is still writing changes from look to look, and waits.

/// What tells one state of a file from another: size, time of its last change, and which file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) bytes: u64,
    pub(super) changed_ns: i128,
    pub(super) inode: (u64, u64),
}

/// What was seen of the file; `None` while it is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watch {
    read: Option<Stamp>,
    seen: Option<Stamp>,
}

impl Watch {
    /// The file was read in this state.
    pub(super) fn new(read: Option<Stamp>) -> Watch {
        Watch { read, seen: read }
    }

    /// A look at the file: whether it is to be read now.
    pub(super) fn look(&mut self, stamp: Option<Stamp>) -> bool {
        let settled = stamp == self.seen;
        self.seen = stamp;
        if settled && stamp.is_some() && stamp != self.read {
            self.read = stamp;
            return true;
        }
        false
    }

    /// It was read now, whatever the looks say.
    pub(super) fn was_read(&mut self, stamp: Option<Stamp>) {
        *self = Watch::new(stamp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(bytes: u64, changed_ns: i128) -> Option<Stamp> {
        Some(Stamp { bytes, changed_ns, inode: (1, 7) })
    }

    #[test]
    fn a_file_is_read_when_it_has_settled_and_once() {
        let mut watch = Watch::new(stamp(10, 1));
        let looks = [
            ("the same", stamp(10, 1), false),
            ("half written", stamp(0, 2), false),
            ("still being written", stamp(5, 3), false),
            ("whole", stamp(12, 4), false),
            ("settled", stamp(12, 4), true),
            ("read", stamp(12, 4), false),
            ("away", None, false),
            ("still away", None, false),
            ("another file of the same size", stamp(12, 5), false),
            ("settled again", stamp(12, 5), true),
            ("touched", stamp(12, 6), false),
            ("as it was", stamp(12, 5), false),
            ("nothing new", stamp(12, 5), false),
        ];
        for (name, stamp, expected) in looks {
            assert_eq!(watch.look(stamp), expected, "{name}");
        }
    }
}
