//! F22: a certificate that is expired, not yet valid, or of another host opens nothing and sends nothing in plain; one that
//! is renewed is used without a restart.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::field::{Field, free_port};
use tests::gateway::Gateway;
use tests::need;
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use crate::brokers::tls_broker;
use crate::clocks::faketime;
use crate::rig::{Counting, PLC, counting_device, file, nothing_is_missing, running, tcp};

/// Signs the server's key for another host, over its certificate.
fn sign_for_elsewhere(folder: &Path) {
    let script = "openssl req -new -key server.key -subj /CN=elsewhere -out elsewhere.csr && \
                  printf 'subjectAltName=DNS:elsewhere.example\\nextendedKeyUsage=serverAuth\\n' > elsewhere.ext && \
                  openssl x509 -req -in elsewhere.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                  -extfile elsewhere.ext -out server.pem";
    let made = Command::new("sh").args(["-c", script]).current_dir(folder).output().expect("a shell");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Waits until the gateway says that it is not connected because of a certificate; nothing has arrived until then.
fn is_refused(gateway: &Gateway, recorder: &Subscriber) {
    let said = || gateway.log().to_lowercase().contains("certificate");
    wait::for_it("the certificate is told of", wait::SOON, said);
    wait::pass(Duration::from_secs(1));
    assert_eq!(recorder.count(), 0, "nothing arrives");
}

#[test]
fn a_server_of_another_host_is_refused_and_taken_once_it_has_the_right_certificate() {
    let side = free_port();
    let Some((mut broker, keys)) = tls_broker(side, "allow_anonymous true\n") else { return };
    let server = keys.file("server.pem");
    let right = fs::read(&server).expect("a certificate");
    broker.stop();
    sign_for_elsewhere(Path::new(&server).parent().expect("a folder"));
    broker.start_again();

    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(([127, 0, 0, 1], side).into());
    let uplink = format!("{}\n    tls: {{ ca: {} }}", broker.url("mqtts"), keys.file("ca.pem"));
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &uplink));
    let gateway = site.start();
    is_refused(&gateway, &recorder);

    broker.stop();
    fs::write(&server, right).expect("writes");
    broker.start_again();
    running(&recorder);
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    let received = recorder.readings();
    nothing_is_missing(&received);
    plc.verdict(&received).must_be_true();
}

#[test]
fn a_certificate_of_its_own_that_is_renewed_is_shown_without_a_restart() {
    let side = free_port();
    let Some((broker, keys)) = tls_broker(side, "require_certificate true\nallow_anonymous true\n") else { return };
    let copy = |from: &str| {
        for end in ["pem", "key"] {
            fs::copy(keys.file(&format!("{from}.{end}")), keys.file(&format!("own.{end}"))).expect("copies");
        }
    };
    copy("stranger");
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(([127, 0, 0, 1], side).into());
    let own = format!("cert: {}, key: {}", keys.file("own.pem"), keys.file("own.key"));
    let uplink = format!("{}\n    tls: {{ ca: {}, {own} }}", broker.url("mqtts"), keys.file("ca.pem"));
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &uplink));
    let gateway = site.start();
    // It is made for two days, to the second.
    let told = || gateway.log().contains("a certificate of an uplink expires");
    wait::for_it("that it is to be renewed is told ahead", wait::SOON, told);
    let until = plc.oracle.last() + 10;
    wait::for_it("it polls", wait::SOON, || plc.oracle.last() >= until);
    assert_eq!(recorder.count(), 0, "a stranger's certificate opens nothing");
    copy("client");
    running(&recorder);
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    nothing_is_missing(&recorder.readings());
}

#[test]
fn a_server_whose_certificate_is_expired_or_not_yet_valid_is_refused() {
    if need::program("mosquitto").is_none() {
        return;
    }
    let Some(library) = faketime() else { return };
    let library = library.display().to_string();
    for days in ["+10d", "-10d"] {
        let side = free_port();
        let Some((broker, keys)) = tls_broker(side, "allow_anonymous true\n") else { return };
        let field = Field::new();
        let plc = Counting::tcp(&field);
        let recorder = Subscriber::start(([127, 0, 0, 1], side).into());
        let uplink = format!("{}\n    tls: {{ ca: {} }}", broker.url("mqtts"), keys.file("ca.pem"));
        let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &uplink));
        let shown = [("LD_PRELOAD", library.as_str()), ("FAKETIME", days), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        let gateway = site.start_with(&shown);
        is_refused(&gateway, &recorder);
        drop(gateway);
        // The same file, at the right time.
        let gateway = site.start();
        running(&recorder);
        drop(gateway);
    }
}
