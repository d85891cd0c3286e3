//! Tags and poll groups by number.

/// A tag's index among all tags of the configuration, for the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagId(pub u32);

/// A poll group's index within its device: the tags of one device that share an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u16);

impl TagId {
    /// The id as an index into a table of all tags.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl GroupId {
    /// The id as an index into a device's table of groups.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}
