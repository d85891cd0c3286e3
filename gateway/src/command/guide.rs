//! The guide tells the truth: its samples pass the check, its commands exist, its links lead to its pages, and the tests
//! that it names are there.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use clap::error::ErrorKind;

use super::Cli;
use crate::config::{Kinds, Source, check};

/// What a sample that shows only a part is completed with.
const GATEWAY: &str = "gateway: acme/berlin/line7\n";
const DEVICES: &str = "devices: { press: { url: \"modbus-tcp://10.0.0.11\", tags: { count: \"hr:3:UINT\" } } }\n";

/// A page: its place and its text.
struct Page {
    path: PathBuf,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guide/src")
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

fn pages() -> Vec<Page> {
    let mut paths = Vec::new();
    files(&root(), "md", &mut paths);
    let page = |path: PathBuf| Page { text: fs::read_to_string(&path).expect("a page"), path };
    paths.into_iter().map(page).collect()
}

/// The blocks of a language.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let opening = format!("```{language}\n");
    let starts = text.match_indices(&opening).map(|(at, _)| at + opening.len());
    starts.map(|start| text[start..].split("```").next().unwrap_or_default()).collect()
}

#[test]
fn every_sample_of_the_guide_passes_the_check() {
    let mut samples = 0;
    for page in pages() {
        for block in blocks(&page.text, "yaml") {
            let has = |key: &str| block.lines().any(|line| line.starts_with(key));
            let mut whole = block.to_owned();
            if !has("gateway:") {
                whole.insert_str(0, GATEWAY);
            }
            if !has("devices:") {
                whole.push_str(DEVICES);
            }
            if let Err(report) = check(Source::new(&page.path.display().to_string(), &whole), Kinds::of_this_build()) {
                panic!("{report}\n{whole}");
            }
            samples += 1;
        }
    }
    assert!(samples >= 5, "{samples} samples");
}

#[test]
fn every_command_of_the_guide_is_understood() {
    let mut commands = 0;
    for page in pages() {
        for line in blocks(&page.text, "sh").iter().flat_map(|block| block.lines()) {
            let words = words(line);
            if words.first().map(String::as_str) != Some("forebay") {
                continue;
            }
            commands += 1;
            if let Err(error) = Cli::try_parse_from(&words)
                && !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
            {
                panic!("{}: {line}\n{error}", page.path.display());
            }
        }
    }
    assert!(commands >= 40, "{commands} commands");
}

/// The words of a line of a shell, up to a comment or a redirection.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for character in line.chars() {
        match (character, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(character),
            ('#' | '>' | '|', None) if word.is_empty() => break,
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c, _) => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

#[test]
fn every_command_is_in_the_guide() {
    let page = fs::read_to_string(root().join("command-line.md")).expect("a page");
    let known = <Cli as clap::CommandFactory>::command();
    for command in known.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name();
        assert!(page.contains(&format!("forebay {name}")), "{name} is missing in command-line.md");
    }
}

#[test]
fn every_link_of_the_guide_leads_to_a_page_of_it_and_every_page_is_listed() {
    let summary = fs::read_to_string(root().join("SUMMARY.md")).expect("a summary");
    let mut links = 0;
    for Page { path, text } in pages() {
        let folder = path.parent().expect("a folder");
        // What a page takes from beside the code becomes part of the page, and its links are the page's.
        for included in after(&text, "{{#include ", "}}") {
            let of_code = fs::read_to_string(folder.join(included.trim())).expect("an included page");
            links += check_links(&path, &of_code);
        }
        links += check_links(&path, &text);
        let listed = path.strip_prefix(root()).expect("below").to_string_lossy().into_owned();
        assert!(listed == "SUMMARY.md" || summary.contains(&format!("({listed})")), "{listed} is not in the summary");
    }
    assert!(links >= 40, "{links} links");
}

/// How many links within the book a text has, each of which has to lead to a page that the site has, and to a heading
/// that is on it.
fn check_links(page: &Path, text: &str) -> usize {
    let within = |link: &&str| !link.starts_with("http") && !link.starts_with('<');
    let links: Vec<&str> = after(text, "](", ")").filter(within).collect();
    for link in &links {
        let (target, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = if target.is_empty() { page.to_path_buf() } else { page.with_file_name("").join(target) };
        let target = target.canonicalize().unwrap_or_else(|_| panic!("{}: {link} leads nowhere", page.display()));
        assert!(target.starts_with(root()), "{}: {link} leads out of the book", page.display());
        assert!(
            heading.is_empty() || headings(&target).contains(heading),
            "{}: {link}: no such heading",
            page.display()
        );
    }
    links.len()
}

/// The names by which the headings of a page are linked to, those of what it includes among them.
fn headings(page: &Path) -> HashSet<String> {
    let mut text = fs::read_to_string(page).expect("a page");
    let included: Vec<PathBuf> =
        after(&text, "{{#include ", "}}").map(|included| page.with_file_name("").join(included.trim())).collect();
    for included in included {
        text.push_str(&fs::read_to_string(included).expect("an included page"));
    }
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let plain = |c: char| c.is_alphanumeric() || c == ' ' || c == '-' || c == '_';
    headings.map(|heading| heading.to_lowercase().replace(|c| !plain(c), "").replace(' ', "-")).collect()
}

/// What stands between each `open` and the next `close`.
fn after<'t>(text: &'t str, open: &'static str, close: &'static str) -> impl Iterator<Item = &'t str> {
    text.match_indices(open).map(move |(at, _)| text[at + open.len()..].split(close).next().unwrap_or_default())
}

#[test]
fn every_test_that_the_guide_names_is_there() {
    let page = fs::read_to_string(root().join("security.md")).expect("a page");
    let mut sources = Vec::new();
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for part in ["tests", "gateway/src", "drivers", "buffer"] {
        files(&top.join(part), "rs", &mut sources);
    }
    let sources: String = sources.iter().map(|path| fs::read_to_string(path).expect("a source")).collect();
    let mut rows = 0;
    for row in page.lines().filter(|row| row.starts_with("| ") && !row.starts_with("| requirement")) {
        let tests = row.rsplit('|').nth(1).unwrap_or_default();
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "a row without a test: {row}");
        for test in named {
            assert!(sources.contains(&format!("fn {test}(")), "there is no test {test}");
        }
        rows += 1;
    }
    assert!(rows >= 20, "{rows} rows");
}
