//! The tags of a device as they were written, packed: there may be a hundred thousand of them, and they are kept for as long
//! as the device is.

use crate::{GroupId, TagId};

/// One tag of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagSpec<'a> {
    /// Its id.
    pub id: TagId,
    /// The address as written.
    pub address: &'a str,
    /// The group that polls it.
    pub group: GroupId,
}

/// The tags of a device in their order: 16 bytes each and the text of their addresses, in two pieces of memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagSpecs {
    addresses: String,
    tags: Vec<Packed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Packed {
    /// Where its address ends; it begins where that of the tag before ends.
    end: usize,
    id: TagId,
    group: GroupId,
}

impl TagSpecs {
    /// Adds a tag behind all others.
    pub fn push(&mut self, tag: TagSpec<'_>) {
        self.addresses.push_str(tag.address);
        self.tags.push(Packed { end: self.addresses.len(), id: tag.id, group: tag.group });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// The tag of this index.
    pub fn get(&self, index: usize) -> Option<TagSpec<'_>> {
        let Packed { end, id, group } = *self.tags.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.tags[before].end);
        Some(TagSpec { id, address: &self.addresses[start..end], group })
    }

    /// All of them, by rising index.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = TagSpec<'_>> + Clone {
        let mut start = 0;
        self.tags.iter().map(move |&Packed { end, id, group }| {
            let address = &self.addresses[std::mem::replace(&mut start, end)..end];
            TagSpec { id, address, group }
        })
    }

    /// Gives back the memory that more of them would take.
    pub fn shrink_to_fit(&mut self) {
        self.addresses.shrink_to_fit();
        self.tags.shrink_to_fit();
    }
}

impl<'a> FromIterator<TagSpec<'a>> for TagSpecs {
    fn from_iter<I: IntoIterator<Item = TagSpec<'a>>>(tags: I) -> TagSpecs {
        let mut all = TagSpecs::default();
        tags.into_iter().for_each(|tag| all.push(tag));
        all.shrink_to_fit();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tag_has_its_own_address() {
        let tags: Vec<TagSpec<'_>> = (0..)
            .zip(["hr:0", "", "ns=2;s=Höhe"])
            .map(|(id, address)| TagSpec { id: TagId(7 - id), address, group: GroupId(id as u16) })
            .collect();
        let packed: TagSpecs = tags.iter().copied().collect();
        assert_eq!(packed.iter().collect::<Vec<_>>(), tags);
        assert_eq!(
            (0..4).map(|index| packed.get(index)).collect::<Vec<_>>(),
            [Some(tags[0]), Some(tags[1]), Some(tags[2]), None]
        );
        assert_eq!((packed.len(), packed.is_empty(), TagSpecs::default().is_empty()), (3, false, true));
        let moved: TagSpecs =
            [TagSpec { address: "hr:", ..tags[0] }, TagSpec { address: "0", ..tags[1] }, tags[2]].into_iter().collect();
        assert_ne!(packed, moved);
    }
}
