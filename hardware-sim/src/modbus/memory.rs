//! 65,536 cells, of which only the pages that were written take space.

/// Cells in a page.
const PAGE: usize = 256;

/// Cells that are all zero until they are written.
#[derive(Debug, Default)]
pub(super) struct Cells {
    pages: Vec<Option<Box<[u16; PAGE]>>>,
}

impl Cells {
    pub(super) fn get(&self, offset: u16) -> u16 {
        let page = self.pages.get(usize::from(offset) / PAGE).and_then(Option::as_ref);
        page.map_or(0, |page| page[usize::from(offset) % PAGE])
    }

    pub(super) fn set(&mut self, offset: u16, word: u16) {
        let number = usize::from(offset) / PAGE;
        if self.pages.len() <= number {
            self.pages.resize_with(number + 1, || None);
        }
        let page = self.pages[number].get_or_insert_with(|| Box::new([0; PAGE]));
        page[usize::from(offset) % PAGE] = word;
    }

    /// Stops at the last cell.
    pub(super) fn write(&mut self, offset: u16, words: &[u16]) {
        for (offset, word) in (offset..=u16::MAX).zip(words) {
            self.set(offset, *word);
        }
    }

    /// Stops at the last cell.
    pub(super) fn read(&self, offset: u16, count: u16) -> Vec<u16> {
        (offset..=u16::MAX).take(usize::from(count)).map(|offset| self.get(offset)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_written_and_zero_elsewhere() {
        let mut cells = Cells::default();
        cells.write(254, &[1, 2, 3, 4]);
        assert_eq!(cells.read(253, 6), [0, 1, 2, 3, 4, 0]);
        assert_eq!(cells.get(65_535), 0);
    }

    #[test]
    fn ends_at_the_last_cell() {
        let mut cells = Cells::default();
        cells.write(65_534, &[1, 2, 3]);
        assert_eq!(cells.read(65_534, 3), [1, 2]);
        assert_eq!(cells.get(0), 0);
    }
}
