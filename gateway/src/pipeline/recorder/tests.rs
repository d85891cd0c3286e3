//! Lines that speak to simulated devices, and what tshark makes of their recordings.

use std::process::Command;
use std::time::Duration;

use driver_core::{DeviceSpec, GroupId, Line, Readings, SystemClock, TagId, TagSpec};
use tokio::io::AsyncReadExt;

use super::*;

const CONFIG: RecorderConfig = RecorderConfig { line_bytes: 32 * 1024, files_max: 2 };

fn line(url: &str, address: &str) -> (LineSpec, Box<dyn Line>) {
    let tag = TagSpec { id: TagId(0), address, group: GroupId(0) };
    let groups = vec![Duration::from_secs(1)];
    let device =
        DeviceSpec { name: "press".into(), groups, tags: [tag].into_iter().collect(), ..DeviceSpec::default() };
    let spec = LineSpec { url: url.parse().expect("a URL"), timeout: None, devices: vec![device] };
    let line = drivers::by_scheme(spec.url.scheme()).expect("a driver").line(&spec).expect("a line");
    (spec, line)
}

async fn poll(line: &mut dyn Line) -> Result<(), LinkError> {
    let mut readings = Vec::new();
    line.connect().await?;
    line.poll(0, GroupId(0), &mut Readings::new(&mut readings, &SystemClock)).await.map(drop)
}

/// What tshark says of a file, protocol by protocol; nothing where it is not installed and may be missing.
fn protocols(file: &[u8], more: &[&str]) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recording.pcapng");
    std::fs::write(&path, file).expect("writes");
    let fields = ["-T", "fields", "-e", "frame.protocols", "-e", "_ws.col.Info", "-e", "_ws.expert.message"];
    let output = Command::new("tshark").arg("-r").arg(&path).args(more).args(fields).output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Err(cause) if std::env::var_os("CI").is_none() => {
            eprintln!("tshark cannot be run: {cause}");
            None
        }
        Err(cause) => panic!("tshark cannot be run: {cause}"),
    }
}

#[cfg(feature = "sim")]
#[tokio::test]
async fn tshark_decodes_a_recording_of_modbus() {
    let plant = hardware_sim::modbus::Plant::new();
    plant.write_holding(1, 0, &[42, 43]);
    let address = "127.0.0.1:0".parse().expect("an address");
    let server = hardware_sim::modbus::ModbusServer::tcp(address, plant).await.expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let recorders = Recorders::within(folder.path(), CONFIG).expect("recorders");
    let (spec, mut line) = line(&format!("modbus-tcp://{}", server.address().expect("an address")), "hr:0:DINT");
    line.set_tap(recorders.tap("press", &spec));
    assert!(matches!(recorders.pcapng("press"), Err(RecordError::Empty(_))));
    poll(line.as_mut()).await.expect("polls");
    let file = recorders.pcapng("press").expect("a recording");
    let Some(told) = protocols(&file, &[]) else { return };
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert!(lines.iter().all(|line| line.contains("modbus") && !line.contains("alformed")), "{told}");
    assert!(lines[0].contains("Query") && lines[1].contains("Response"), "{told}");
    assert!(matches!(recorders.pcapng("oven"), Err(RecordError::Unknown(_))));
}

#[cfg(feature = "sim")]
#[tokio::test]
async fn tshark_decodes_a_recording_of_s7_from_the_call_on() {
    let plc = hardware_sim::s7::Plc::new();
    let address = "127.0.0.1:0".parse().expect("an address");
    let server = hardware_sim::s7::S7Server::start(address, plc).await.expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let recorders = Recorders::within(folder.path(), CONFIG).expect("recorders");
    let (spec, mut line) = line(&format!("s7://{}", server.address()), "MW0:INT");
    line.set_tap(recorders.tap("filler", &spec));
    poll(line.as_mut()).await.expect("polls");
    let file = recorders.pcapng("press").expect("a recording");
    let Some(told) = protocols(&file, &[]) else { return };
    assert!(told.lines().count() >= 6 && !told.contains("alformed"), "{told}");
    assert!(told.contains("cotp") && told.contains("s7comm"), "{told}");
    assert!(told.contains("Setup communication") && told.contains("Read Var"), "{told}");
}

#[tokio::test]
async fn a_lost_connection_is_saved_once_and_old_files_go() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let far = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 12];
            drop(stream.read_exact(&mut bytes).await);
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let recorders = Recorders::within(folder.path(), CONFIG).expect("recorders");
    for name in ["a-1.pcapng", "a-2.pcapng"] {
        std::fs::create_dir_all(recorders.folder()).expect("a folder");
        std::fs::write(recorders.folder().join(name), b"old").expect("writes");
    }
    let (spec, mut line) = line(&format!("modbus-tcp://{at}"), "hr:0");
    line.set_tap(recorders.tap("line 7/press", &spec));
    for _ in 0..3 {
        assert!(poll(line.as_mut()).await.is_err());
    }
    let saved = || recorders.saved().expect("a list");
    let is_saved = || saved().iter().any(|saved| saved.name.contains("line_7_press"));
    let until = Instant::now() + Duration::from_secs(10);
    while !is_saved() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(is_saved());
    assert_eq!(saved().len(), 2, "files_max holds");
    far.abort();
}

#[test]
fn a_request_beside_the_log_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let recorders = Recorders::within(folder.path(), CONFIG).expect("recorders");
    let (spec, _) = line("modbus-tcp://10.0.0.11", "hr:0");
    let tap = recorders.tap("bus", &spec);
    let ask =
        |device: &str, wanted| Request { device: device.into(), wanted }.ask(recorders.folder()).expect("an answer");
    assert!(ask("press", Wanted::Save).expect_err("nothing yet").contains("nothing was recorded"));
    assert!(ask("oven", Wanted::Save).expect_err("unknown").contains("no device `oven`"));
    tap.sent(&[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1]);
    let file = ask("press", Wanted::Save).expect("saved").expect("a file");
    assert!(std::fs::metadata(file).expect("is there").len() > 100);
    let is_decoding = || recorders.lines().iter().map(|recorded| recorded.is_decoding).collect::<Vec<_>>();
    assert_eq!((ask("bus", Wanted::Decode), is_decoding()), (Ok(None), vec![true]));
    assert_eq!((ask("press", Wanted::Quiet), is_decoding()), (Ok(None), vec![false]));
}

#[test]
fn nothing_is_recorded_where_it_is_switched_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let off = RecorderConfig { line_bytes: 0, files_max: 2 };
    let recorders = Recorders::within(folder.path(), off).expect("recorders");
    let (spec, _) = line("modbus-tcp://10.0.0.11", "hr:0");
    recorders.tap("bus", &spec).sent(b"x");
    assert!(matches!(recorders.pcapng("press"), Err(RecordError::Unknown(_))));
    assert!(!folder.path().join("recorder").exists(), "nothing is written without need");
}
