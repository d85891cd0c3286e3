use proptest::prelude::*;

use super::*;

const BYTES_MAX: u64 = 1 << 20;

fn record(text: &str) -> Map<String, Json> {
    let mut record = Map::new();
    record.insert("text".into(), json!(text));
    record
}

fn opened(folder: &Path) -> (Trail, Vec<String>) {
    let mut texts = Vec::new();
    let trail = Trail::open(folder, BYTES_MAX, &mut |record| {
        texts.extend(record["text"].as_str().map(str::to_owned));
    });
    (trail.expect("opens"), texts)
}

fn checked(folder: &Path) -> Verified {
    verify(folder, None, &mut |_| {}).expect("reads")
}

fn written(folder: &Path, count: usize) -> Vec<String> {
    let (mut trail, _) = opened(folder);
    let texts: Vec<String> = (0..count).map(|number| format!("record {number}")).collect();
    texts.iter().for_each(|text| trail.append(&record(text)).expect("appends"));
    trail.sync().expect("syncs");
    texts
}

#[test]
fn what_was_written_is_read_again_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("commands");
    assert_eq!(checked(&folder), Verified { files: 0, first: 0, records: 0, ..checked(&folder) });
    let texts = written(&folder, 5);
    let (mut trail, found) = opened(&folder);
    assert_eq!(found, texts);
    let head = checked(&folder).head;
    trail.append(&record("after a restart")).expect("appends");
    drop(trail);
    let all = verify(&folder, Some(&head), &mut |_| {}).expect("reads");
    assert_eq!((all.files, all.records, all.first, all.found), (1, 7, 1, Found::There));
    assert_eq!(all.broken, []);
}

#[test]
fn a_line_that_was_cut_short_is_cut_off_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    written(folder.path(), 3);
    let path = path_of(folder.path(), 1);
    let whole = fs::read(&path).expect("a file");
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').expect("lines") + 1;
    for cut in last + 1..whole.len() {
        fs::write(&path, &whole[..cut]).expect("writes");
        assert_eq!(checked(folder.path()).broken.len(), 1, "cut at {cut}");
        let (mut trail, found) = opened(folder.path());
        assert_eq!(found.len(), 2, "cut at {cut}");
        trail.append(&record("next")).expect("appends");
        assert_eq!(checked(folder.path()).broken, [], "cut at {cut}");
    }
}

#[test]
fn a_line_that_was_changed_taken_out_or_moved_is_found_and_the_trail_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    written(folder.path(), 4);
    let path = path_of(folder.path(), 1);
    let whole = fs::read_to_string(&path).expect("a file");
    let lines: Vec<&str> = whole.lines().collect();
    let changed = whole.replace("record 1", "record 9");
    let without = [&lines[..2], &lines[3..]].concat().join("\n") + "\n";
    let moved = [&lines[..2], &[lines[3], lines[2], lines[4]]].concat().join("\n") + "\n";
    for (text, line) in [(changed, 3), (without, 3), (moved, 3)] {
        fs::write(&path, &text).expect("writes");
        let found = checked(folder.path());
        assert_eq!(found.broken.iter().map(|broken| broken.line).collect::<Vec<_>>(), [line]);
        let (mut trail, _) = opened(folder.path());
        trail.append(&record("goes on")).expect("appends");
        assert_eq!(fs::read_to_string(&path).expect("a file"), text, "what is there is left as it is");
        assert_eq!(checked(folder.path()).files, 2);
        fs::remove_file(path_of(folder.path(), 2)).expect("removes");
    }
}

#[test]
fn files_are_bounded_in_size_and_number_and_the_chain_goes_through_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut trail = Trail::open(folder.path(), 16 * 2_000, &mut |_| {}).expect("opens");
    (0..1_000).for_each(|number| trail.append(&record(&format!("record {number}"))).expect("appends"));
    let found = checked(folder.path());
    assert_eq!((found.files, found.broken), (FILES_MAX as usize, vec![]));
    assert!(found.first > 1, "the oldest are gone");
    let bytes: u64 = numbers(folder.path())
        .expect("reads")
        .iter()
        .map(|n| fs::metadata(path_of(folder.path(), *n)).expect("a file").len())
        .sum();
    assert!(bytes < 16 * 2_500, "{bytes}");
    let middle = numbers(folder.path()).expect("reads")[7];
    fs::remove_file(path_of(folder.path(), middle)).expect("removes");
    let found = checked(folder.path());
    assert!(found.broken[0].what.contains("missing"), "{found:?}");
}

#[test]
fn a_disk_that_refuses_is_an_error_and_only_the_owner_reads_the_trail() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("writes");
    let mut trail = Trail::open(&folder.path().join("elsewhere"), BYTES_MAX, &mut |_| {}).expect("nothing there yet");
    assert!(Trail::open(&folder.path().join("file/commands"), BYTES_MAX, &mut |_| {}).is_err());
    trail.append(&record("x")).expect("appends");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("elsewhere")), 0o700);
    assert_eq!(mode(&path_of(&folder.path().join("elsewhere"), 1)), 0o600);
}

proptest! {
    #[test]
    fn any_text_is_a_line_and_any_changed_byte_is_found(text in "\\PC{0,40}", at: prop::sample::Index, flip in 1_u8..) {
        let (line, link) = sealed(&record(&text), &Link::default());
        let line = line.trim_end_matches('\n');
        prop_assert_eq!(chain::unsealed(line, Some(&Link::default())).map(|(_, link)| link), Some(link));
        let mut bytes = line.as_bytes().to_vec();
        bytes[at.index(line.len())] ^= flip;
        if let Ok(changed) = std::str::from_utf8(&bytes) {
            prop_assert_eq!(chain::unsealed(changed, Some(&Link::default())), None);
        }
    }

    #[test]
    fn garbage_never_panics(text in "\\PC{0,120}") {
        chain::unsealed(&text, None);
    }
}
