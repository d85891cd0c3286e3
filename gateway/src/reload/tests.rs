//! The keeper over a running gateway whose device is not there: what counts is which configuration runs.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::config::{self, Checked, Kinds, Source};
use crate::pipeline::assemble;
use crate::pipeline::gateway::Gateway;

/// A gateway with its keeper, and the file that both came from.
struct Bench {
    folder: tempfile::TempDir,
    gateway: Gateway,
    reload: Reload,
    keeper: Keeper,
}

impl Bench {
    fn start() -> Bench {
        Bench::with(|folder| text(folder, "a: hr:0", ""))
    }

    fn with(text: impl Fn(&tempfile::TempDir) -> String) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let text = text(&folder);
        let file = folder.path().join("gateway.yaml");
        fs::write(&file, &text).expect("writes");
        let checked = config::check(Source::new("gateway.yaml", &text), Kinds::of_this_build());
        let Checked { config, lines, .. } = checked.expect("a configuration");
        let (reload, keeper) = Reload::new(file, Running::of(&config, &text, Arc::default()));
        let gateway = Gateway::start(assemble::setup(config, lines)).expect("it starts");
        keeper.started(&gateway);
        Bench { folder, gateway, reload, keeper }
    }

    fn text(&self, tags: &str) -> String {
        text(&self.folder, tags, "")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("gateway.yaml")
    }

    fn in_file(&self) -> String {
        fs::read_to_string(self.file()).expect("a file")
    }

    /// What is asked while the keeper works.
    async fn asked<T>(&mut self, ask: impl AsyncFnOnce(Reload) -> T) -> T {
        let asked = ask(self.reload.clone());
        let mut asked = std::pin::pin!(asked);
        loop {
            tokio::select! {
                biased;
                due = self.keeper.due() => self.keeper.act(due, &mut self.gateway).await,
                answer = &mut asked => return answer,
            }
        }
    }
}

fn text(folder: &tempfile::TempDir, tags: &str, more: &str) -> String {
    format!(
        "gateway: g\nevery: 1s\nbuffer: {{ path: {} }}\nhttp: {{ listen: off }}\ndevices:\n  press:\n    \
         url: modbus-tcp://127.0.0.1:1\n    tags: {{ {tags} }}\n{more}",
        folder.path().join("buffer").display()
    )
}

const SOON: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_change_that_is_not_confirmed_is_taken_back_and_never_stood_in_the_file() {
    let mut bench = Bench::start();
    let (first, second) = (bench.text("a: hr:0"), bench.text("a: hr:0, b: hr:1"));
    let applied = bench.asked(async |reload| reload.apply(&second, Some(SOON)).await).await.expect("it is applied");
    assert_eq!((applied.diff.tags_added, applied.kept.is_err()), (1, true));
    assert_eq!((bench.reload.text(), bench.in_file()), (second.clone(), first.clone()));
    assert!(bench.reload.state().confirm_until.is_some());
    let due = bench.keeper.due().await;
    assert!(matches!(due, keeper::Due::NotConfirmed));
    bench.keeper.act(due, &mut bench.gateway).await;
    assert_eq!((bench.reload.text(), bench.in_file()), (first, second.replace(", b: hr:1", "")));
    assert!(bench.reload.state().confirm_until.is_none());
    bench.gateway.stop();
}

#[tokio::test]
async fn a_confirmed_change_stays_and_can_be_taken_back_by_hand() {
    let mut bench = Bench::start();
    let (first, second) = (bench.text("a: hr:0"), bench.text("b: hr:1"));
    bench.asked(async |reload| reload.apply(&second, Some(60 * SOON)).await).await.expect("it is applied");
    let other = bench.asked(async |reload| reload.apply(&first, None).await).await;
    assert!(matches!(other, Err(Refused::Nothing(_))), "{other:?}");
    let confirmed = bench.asked(async |reload| reload.confirm().await).await.expect("it is confirmed");
    assert_eq!((confirmed.kept, bench.in_file()), (Ok(()), second));
    let back = bench.asked(async |reload| reload.roll_back().await).await.expect("it goes back");
    assert_eq!((back.diff.tags_added, back.diff.tags_removed, back.kept), (1, 1, Ok(())));
    assert_eq!((bench.reload.text(), bench.in_file()), (first.clone(), first));
    let again = bench.asked(async |reload| reload.roll_back().await).await;
    assert!(matches!(again, Err(Refused::Nothing(_))), "{again:?}");
    let none = bench.asked(async |reload| reload.confirm().await).await;
    assert!(matches!(none, Err(Refused::Nothing(_))), "{none:?}");
    bench.gateway.stop();
}

#[tokio::test]
async fn what_is_wrong_or_needs_a_restart_changes_nothing_and_is_told() {
    let mut bench = Bench::start();
    let first = bench.text("a: hr:0");
    let wrong = first.replace("hr:0", "hx:0");
    let told = bench.asked(async |reload| reload.apply(&wrong, None).await).await.expect_err("it is wrong");
    assert!(told.to_string().contains("gateway.yaml:") && told.to_string().contains("hx:0"), "{told}");
    let restart = first.replace("gateway: g", "gateway: h").replace("every: 1s", "every: 1s\nlog: { level: debug }");
    let told = bench.asked(async |reload| reload.apply(&restart, None).await).await.expect_err("it needs a restart");
    assert_eq!(told, Refused::Restart(vec!["gateway", "log"]));
    assert_eq!((bench.reload.text(), bench.reload.state().generation), (first.clone(), 0));
    fs::write(bench.file(), &wrong).expect("writes");
    bench.asked(async |reload| reload.reread().await).await.expect_err("it is wrong");
    assert!(bench.reload.state().error.is_some_and(|error| error.contains("hx:0")));
    let preview = bench.reload.check(&bench.text("a: { address: 'hr:0', scale: 2 }")).await.expect("it is right");
    assert_eq!(preview.diff.to_string(), "tags with another rule: 1");
    fs::write(bench.file(), &first).expect("writes");
    let same = bench.asked(async |reload| reload.reread().await).await.expect("it is right");
    assert!(same.diff.is_empty() && bench.reload.state().error.is_none());
    bench.gateway.stop();
}

#[tokio::test]
async fn many_signals_make_one_reading() {
    let mut bench = Bench::start();
    fs::write(bench.file(), bench.text("a: hr:0, b: hr:1")).expect("writes");
    (0..1_000).for_each(|_| bench.keeper.signal());
    let due = bench.keeper.due().await;
    assert!(matches!(due, keeper::Due::Signal));
    bench.keeper.act(due, &mut bench.gateway).await;
    assert_eq!(bench.reload.state().generation, 1);
    bench.keeper.signal();
    let begun = std::time::Instant::now();
    assert!(matches!(bench.keeper.due().await, keeper::Due::Signal));
    assert!(begun.elapsed() >= Duration::from_millis(300), "the file is not read again at once");
    bench.gateway.stop();
}

#[tokio::test]
async fn uplinks_come_and_go() {
    let mut bench = Bench::start();
    let uplink = "uplinks: { cloud: { url: 'mqtt://127.0.0.1:1' } }\n";
    let with = text(&bench.folder, "a: hr:0", uplink);
    let applied = bench.asked(async |reload| reload.apply(&with, None).await).await.expect("it is applied");
    assert_eq!(applied.diff.to_string(), "uplinks added: cloud");
    let cursor = |bench: &Bench| bench.gateway.log().clone();
    assert!(cursor(&bench).cursor("cloud").await.expect("open").is_some());
    let without = bench.text("a: hr:0");
    bench.asked(async |reload| reload.apply(&without, Some(SOON)).await).await.expect("it is applied");
    assert!(
        cursor(&bench).cursor("cloud").await.expect("open").is_some(),
        "its place is kept as long as it may come back"
    );
    bench.asked(async |reload| reload.confirm().await).await.expect("it is confirmed");
    assert!(cursor(&bench).cursor("cloud").await.expect("open").is_none());
    bench.gateway.stop();
}

/// A server that is not there, looked through for what its tags are.
fn searched(folder: &tempfile::TempDir, tags: &str) -> String {
    format!(
        "gateway: g\nevery: 1s\nbuffer: {{ path: {} }}\nhttp: {{ listen: off }}\ndevices:\n  line7:\n    \
         url: opc.tcp://127.0.0.1:1\n    browse: [/Objects/2:Line7/**]\n    tags: {{ {tags} }}\n",
        folder.path().join("buffer").display()
    )
}

#[tokio::test]
async fn what_was_found_in_a_device_is_polled_and_stays_when_the_file_changes() {
    let mut bench = Bench::with(|folder| searched(folder, "b: { unit: bar }"));
    let names = |bench: &Bench| {
        let running = bench.reload.shared.running();
        let schema = running.tags.live_schema().clone();
        (0..schema.tags() as u32)
            .filter_map(|id| schema.tag(driver_core::TagId(id)).map(|tag| (tag.tag.to_owned(), tag.unit.to_owned())))
            .collect::<Vec<_>>()
    };
    assert!(names(&bench).is_empty(), "a tag without an address waits until it is found");
    let found = |tags: &[&str]| Found {
        device: "line7".into(),
        origin: "opc.tcp://127.0.0.1:1 /Objects/2:Line7/**".into(),
        tags: tags
            .iter()
            .map(|name| driver_core::FoundTag { name: (*name).into(), address: format!("ns=2;s={name}").into() })
            .collect(),
    };
    for looked in [&["a", "b"][..], &["b", "c"]] {
        bench.reload.finds().try_send(found(looked)).expect("there is room");
        let due = bench.keeper.due().await;
        bench.keeper.act(due, &mut bench.gateway).await;
    }
    let own = |name: &str, unit: &str| (name.to_owned(), unit.to_owned());
    assert_eq!(names(&bench), [own("b", "bar"), own("a", ""), own("c", "")], "what is found no more stays");
    assert_eq!(bench.reload.state().generation, 2);

    let next = searched(&bench.folder, "d: ns=2;s=d");
    let applied = bench.asked(async |reload| reload.apply(&next, None).await).await.expect("it is applied");
    assert_eq!((applied.diff.tags_added, applied.diff.tags_removed), (2, 1), "d, and b without its unit");
    assert_eq!(names(&bench).len(), 4);
    let back = bench.asked(async |reload| reload.roll_back().await).await.expect("it goes back");
    assert_eq!((back.diff.tags_added, names(&bench).len()), (1, 3));

    // The next start begins with what the last look came to.
    let checked = config::check(Source::new("gateway.yaml", &bench.reload.text()), Kinds::of_this_build());
    let findings = crate::pipeline::findings::Findings::load(&checked.expect("a configuration").config);
    assert_eq!(findings.of("line7", "opc.tcp://127.0.0.1:1 /Objects/2:Line7/**").len(), 2);
    bench.gateway.stop();
}
