//! `forebay browse URL [PATH]`: what a device holds, as a tree, as tags to paste, or as JSON.

use std::collections::{BTreeSet, HashSet};

use driver_core::{BrowseError, Entry, EntryKind, Line, LinkError};
use serde_json::{Value, json};

use super::Exit;
use super::one_shot::{Purpose, block_on, line};
use super::stdout::print;
use super::table::table;

/// What an OPC UA server tells of itself: left out where the walk begins at the top.
const OF_ITSELF: &str = "i=2253";

/// Show what a device holds, where its protocol can tell.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The device, such as opc.tcp://10.0.0.12:4840
    url: String,
    /// Where to begin, such as /Objects/2:Tank or ns=2;s=Tank
    #[arg(default_value = "", hide_default_value = true)]
    path: String,
    /// How many levels to go down
    #[arg(long, default_value_t = 8, value_name = "LEVELS")]
    depth: usize,
    /// End after so many entries
    #[arg(long, default_value_t = 10_000, value_name = "COUNT")]
    most: usize,
    /// Print the variables as tags of a configuration
    #[arg(long, conflicts_with = "json")]
    yaml: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An entry, and the names above it.
#[derive(Debug)]
struct Found {
    above: Vec<String>,
    entry: Entry,
}

/// What a walk came to.
#[derive(Debug, Default)]
struct Walk {
    found: Vec<Found>,
    /// Places that the device did not want to be looked into, with its words.
    refused: Vec<(String, BrowseError)>,
    /// There is more.
    cut: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    match browse(args) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn browse(args: &Args) -> Result<Exit, Exit> {
    let mut line = line(&args.url, &[], Purpose::Write)?;
    let walk = block_on(ask(line.as_mut(), args))?.map_err(|error| {
        eprintln!("{error}");
        Exit::Failure
    })?;
    if let ([], [(place, cause)]) = (walk.found.as_slice(), walk.refused.as_slice()) {
        let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
        eprintln!("{}: {place}{cause}", args.url);
        return Err(Exit::Failure);
    }
    if args.json {
        print(&format!("{:#}\n", json!({ "url": args.url, "entries": as_json(&walk.found), "complete": !walk.cut })));
    } else if args.yaml {
        print(&as_yaml(&walk.found));
    } else {
        print(&as_tree(&walk.found));
    }
    for (place, cause) in &walk.refused {
        eprintln!("{place}: {cause}");
    }
    if walk.cut {
        eprintln!("there is more: begin further down with PATH, or raise --most and --depth");
    }
    Ok(if walk.refused.is_empty() { Exit::Success } else { Exit::Incomplete })
}

async fn ask(line: &mut dyn Line, args: &Args) -> Result<Walk, LinkError> {
    line.connect().await?;
    let walk = walk(line, args).await;
    line.close().await;
    walk
}

/// From the top down, each place once: an address space may lead back to itself.
async fn walk(line: &mut dyn Line, args: &Args) -> Result<Walk, LinkError> {
    let (mut walk, mut been) = (Walk::default(), HashSet::new());
    let mut open: Vec<(Vec<String>, String)> = vec![(Vec::new(), args.path.clone())];
    // Entries come in the order of the tree: an open place is replaced by what lies below it.
    let mut waiting: Vec<Found> = Vec::new();
    loop {
        if let Some((above, place)) = open.pop() {
            match line.browse(0, &place).await? {
                Ok(entries) => {
                    waiting.extend(entries.into_iter().rev().map(|entry| Found { above: above.clone(), entry }))
                }
                Err(cause) => walk.refused.push((place, cause)),
            }
        }
        let Some(found) = waiting.pop() else { return Ok(walk) };
        if walk.found.len() >= args.most {
            walk.cut = true;
            return Ok(walk);
        }
        let itself = args.path.is_empty() && found.entry.address == OF_ITSELF;
        let below = found.entry.kind != EntryKind::Method && !itself && been.insert(found.entry.address.clone());
        if below && found.above.len() + 1 < args.depth {
            let mut names = found.above.clone();
            names.push(found.entry.name.clone());
            open.push((names, found.entry.address.clone()));
        } else if below && found.entry.kind == EntryKind::Folder {
            walk.cut = true;
        }
        walk.found.push(found);
    }
}

fn as_tree(found: &[Found]) -> String {
    let row = |found: &Found| {
        let entry = &found.entry;
        let access = match (entry.kind, entry.writable) {
            (EntryKind::Method, _) => "method",
            (EntryKind::Variable, true) => "read, write",
            (EntryKind::Variable, false) => "read",
            (EntryKind::Folder, _) => "",
        };
        let name = format!("{}{}", "  ".repeat(found.above.len()), plain(&entry.name));
        [name, plain(&entry.address), entry.data_type.clone(), access.to_owned()]
    };
    let rows: Vec<[String; 4]> = found.iter().map(row).collect();
    if rows.is_empty() { "nothing is there\n".into() } else { table(["name", "address", "type", "access"], &rows) }
}

/// The `tags:` of a device. A name that more than one variable has gets those above it in front.
fn as_yaml(found: &[Found]) -> String {
    let variables: Vec<&Found> = found.iter().filter(|found| found.entry.kind == EntryKind::Variable).collect();
    if variables.is_empty() {
        return "# no variables are there\n".into();
    }
    let (mut names, mut out) = (BTreeSet::new(), String::from("    tags:\n"));
    for found in variables {
        let quoted = json!(found.entry.address);
        let name = tag_name(found, &names);
        out.push_str(&format!("      {name}: {quoted} # {}\n", found.entry.data_type));
        names.insert(name);
    }
    out
}

/// A name that no tag has yet, made of what may stand in one.
fn tag_name(found: &Found, taken: &BTreeSet<String>) -> String {
    let mut name = word(&found.entry.name);
    for above in found.above.iter().rev() {
        if !taken.contains(&name) {
            return name;
        }
        name = format!("{}_{name}", word(above));
    }
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    if taken.contains(&name) { numbered.into_iter().find(|name| !taken.contains(name)).unwrap_or(name) } else { name }
}

fn word(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let word: String = name.chars().map(kept).collect();
    if word.starts_with(|c: char| c.is_ascii_alphabetic()) { word } else { format!("tag_{word}") }
}

fn as_json(found: &[Found]) -> Vec<Value> {
    let one = |found: &Found| {
        let entry = &found.entry;
        let kind = match entry.kind {
            EntryKind::Folder => "folder",
            EntryKind::Variable => "variable",
            EntryKind::Method => "method",
        };
        json!({
            "name": entry.name,
            "above": found.above,
            "address": entry.address,
            "kind": kind,
            "type": entry.data_type,
            "writable": entry.writable,
        })
    };
    found.iter().map(one).collect()
}

/// Without characters that would do something to a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(above: &[&str], name: &str, address: &str, kind: EntryKind) -> Found {
        let (name, address) = (name.to_owned(), address.to_owned());
        let data_type = if kind == EntryKind::Variable { "Double" } else { "" }.to_owned();
        let writable = kind == EntryKind::Variable;
        Found {
            above: above.iter().map(|name| (*name).to_owned()).collect(),
            entry: Entry { name, address, kind, data_type, writable },
        }
    }

    fn plant() -> Vec<Found> {
        vec![
            found(&[], "Tank 1", "ns=2;s=Tank1", EntryKind::Folder),
            found(&["Tank 1"], "Level", "ns=2;s=Tank1.Level", EntryKind::Variable),
            found(&[], "Tank 2", "ns=2;s=Tank2", EntryKind::Folder),
            found(&["Tank 2"], "Level", "ns=2;s=\"2\".Level", EntryKind::Variable),
            found(&["Tank 2"], "Reset", "ns=2;s=Tank2.Reset", EntryKind::Method),
        ]
    }

    #[test]
    fn what_lies_below_is_indented() {
        let lines: Vec<String> = as_tree(&plant()).lines().map(str::to_owned).collect();
        assert_eq!(lines[1], "Tank 1   ns=2;s=Tank1");
        assert_eq!(lines[2], "  Level  ns=2;s=Tank1.Level  Double  read, write");
        assert_eq!(lines[5], "  Reset  ns=2;s=Tank2.Reset          method");
        assert_eq!(as_tree(&[]), "nothing is there\n");
    }

    #[test]
    fn tags_have_names_of_their_own_and_addresses_are_quoted() {
        let expected = "    tags:\n      Level: \"ns=2;s=Tank1.Level\" # Double\n      \
                        Tank_2_Level: \"ns=2;s=\\\"2\\\".Level\" # Double\n";
        assert_eq!(as_yaml(&plant()), expected);
        let twice = || found(&[], "1:a", "ns=2;s=a", EntryKind::Variable);
        let yaml = as_yaml(&[twice(), twice(), twice()]);
        let names: Vec<&str> = yaml.lines().skip(1).filter_map(|line| line.trim().split(": ").next()).collect();
        assert_eq!(names, ["tag_1_a", "tag_1_a_2", "tag_1_a_3"]);
    }

    #[test]
    fn a_name_does_nothing_to_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb"), "a\u{FFFD}[2Jb");
    }
}
