//! Who trusts whom: certificates of servers and of ours, users with passwords and certificates. Each refusal says which
//! side refuses, and the next step.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tests::field::Field;
use tests::need;
use tests::opcua::{Far, Server};
use tests::site::Site;
use tests::wait;

use super::{bad, complaint, counting_device, good, json};
use crate::rig::{COUNTER, PLC, embedded, file, nothing_is_missing};

/// A server with certificates, and what is asked of it.
struct Secured {
    site: Site,
    far: Far,
    folder: PathBuf,
}

impl Secured {
    /// None where something is not installed.
    fn start(server: Server, certificates: &[&str], arguments: &[&str], trusting: bool) -> Option<Secured> {
        need::program("openssl")?;
        need::program("faketime")?;
        let site = Site::new("");
        let folder = site.folder().join("far");
        fs::create_dir_all(&folder).expect("a folder");
        make(&folder, certificates);
        if trusting {
            fs::create_dir_all(folder.join("trusted")).expect("a folder");
            // asyncua cannot trust nobody: it trusts itself.
            fs::copy(folder.join("server.der"), folder.join("trusted/server.der")).expect("it was made");
        }
        let pki = folder.to_string_lossy().into_owned();
        let far = Far::start(server, &folder, &[&["--pki", pki.as_str()], arguments].concat())?;
        Some(Secured { site, far, folder })
    }

    fn url(&self, options: &str) -> String {
        let pki = self.site.folder().join("pki");
        format!("{}?pki={}&{options}", self.far.url(), pki.display())
    }

    fn read(&self, options: &str) -> Output {
        self.site.forebay(&["read", &self.url(options), "ns=2;s=float", "--json"])
    }

    /// Reads 21.5.
    fn reads(&self, options: &str) {
        let output = self.read(options);
        assert!(output.status.success(), "{options}: {}", complaint(&output));
        assert_eq!(json(&output)["readings"][0]["value"], 21.5, "{options}");
    }

    /// Is refused with these words, and with a next step.
    fn refused(&self, options: &str, words: &[&str]) {
        let output = self.read(options);
        assert_eq!(output.status.code(), Some(3), "{options}: {}", complaint(&output));
        let said = complaint(&output);
        for word in words {
            assert!(said.contains(word), "{options}: `{word}` is missing in: {said}");
        }
    }

    /// Trusts the server by the thumbprint that openssl finds in its certificate.
    fn trust(&self) {
        let thumbprint = thumbprint(&self.folder.join("server.pem"));
        let output = self.site.forebay(&["trust", &self.url(""), "--thumbprint", &thumbprint]);
        assert!(output.status.success(), "{}", complaint(&output));
    }

    /// Lets the server, once it is started again, trust us.
    fn be_trusted(&mut self) {
        let own = self.site.folder().join("pki/own/cert.der");
        fs::copy(own, self.folder.join("trusted/forebay.der")).expect("our certificate was made");
        self.far.kill();
        self.far.start_again();
    }
}

fn make(folder: &Path, arguments: &[&str]) {
    let script = need::root().join("tests/far/opcua_certificates");
    let made = Command::new(script).arg(folder).args(arguments).output().expect("a shell");
    assert!(made.status.success(), "{}", complaint(&made));
}

fn thumbprint(pem: &Path) -> String {
    let told = Command::new("openssl").args(["x509", "-noout", "-fingerprint", "-sha1", "-in"]).arg(pem).output();
    let told = String::from_utf8(told.expect("openssl").stdout).expect("a text");
    told.trim().split_once('=').expect("a fingerprint").1.to_owned()
}

#[test]
fn a_server_is_trusted_by_its_thumbprint_and_trusts_us() {
    let Some(mut secured) = Secured::start(Server::Asyncua, &[], &["--only-secure"], true) else { return };
    secured.refused("", &["we do not trust the server's certificate", "CN=server", "forebay trust"]);
    // A thumbprint that is another one, and nobody to ask: nothing is trusted.
    for arguments in [&["--thumbprint", "00:11"][..], &[]] {
        let output = secured.site.forebay(&[&["trust", &secured.url("")], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{}", complaint(&output));
        assert!(complaint(&output).contains("nothing was trusted"), "{}", complaint(&output));
    }
    secured.refused("", &["we do not trust the server's certificate"]);
    let shown = json(&secured.site.forebay(&["trust", &secured.url(""), "--json"]));
    assert_eq!(shown["thumbprint"], thumbprint(&secured.folder.join("server.pem")), "{shown}");
    assert!(shown["subject"].as_str().is_some_and(|subject| subject.contains("CN=server")), "{shown}");
    for name in ["urn:forebay:far:server", "127.0.0.1", "localhost"] {
        assert!(shown["names"].as_array().is_some_and(|names| names.iter().any(|one| one == name)), "{shown}");
    }
    secured.trust();
    // Now the server refuses us.
    secured.refused("", &["the server", "our certificate", "pki/own/cert.der"]);
    secured.be_trusted();
    for options in ["", "policy=basic256sha256", "policy=basic256sha256&mode=sign"] {
        secured.reads(options);
    }
    secured.refused("policy=aes256", &["the server offers Basic256Sha256", "?policy="]);
    let again = secured.site.forebay(&["trust", &secured.url("")]);
    assert!(again.status.success() && complaint(&again).contains("already"), "{}", complaint(&again));
}

#[test]
fn a_certificate_that_was_replaced_or_has_expired_is_refused() {
    let Some(mut secured) = Secured::start(Server::Asyncua, &[], &["--only-secure"], false) else { return };
    secured.trust();
    secured.reads("");
    secured.far.kill();
    make(&secured.folder, &["expired"]);
    secured.far.start_again();
    secured.refused("", &["we do not trust the server's certificate"]);
    // Trusted it is, and refused all the same.
    let output = secured.site.forebay(&["trust", &secured.url(""), "--yes"]);
    assert_eq!(output.status.code(), Some(1), "{}", complaint(&output));
    assert!(complaint(&output).contains("but still: we refuse the server's certificate"), "{}", complaint(&output));
    secured.refused("", &["we refuse the server's certificate: it expired on 20", "Renew it in the server"]);
}

#[test]
fn a_certificate_that_is_not_the_servers_is_refused_and_the_way_out_is_named() {
    let Some(secured) = Secured::start(Server::Asyncua, &["elsewhere"], &["--only-secure"], false) else { return };
    let thumbprint = thumbprint(&secured.folder.join("server.pem"));
    let output = secured.site.forebay(&["trust", &secured.url(""), "--yes"]);
    assert!(complaint(&output).contains("but still: we refuse"), "{}", complaint(&output));
    let words =
        ["we refuse the server's certificate", "it is for press-7.example, not for 127.0.0.1", "?server_name=NAME"];
    secured.refused("", &words);
    secured.refused("server_name=press-8.example", &["not for press-8.example"]);
    secured.reads("server_name=press-7.example");
    secured.reads(&format!("pin={thumbprint}"));

    let Some(secured) = Secured::start(Server::Asyncua, &["another"], &["--only-secure"], false) else { return };
    secured.site.forebay(&["trust", &secured.url(""), "--yes"]);
    let words = ["we refuse the server's certificate", "urn:forebay:far:another", "urn:forebay:far:server", "?pin="];
    secured.refused("", &words);

    let Some(secured) = Secured::start(Server::Asyncua, &["early"], &["--only-secure"], false) else { return };
    secured.site.forebay(&["trust", &secured.url(""), "--yes"]);
    secured.refused("", &["we refuse the server's certificate: it is valid from 20", "Check the clocks"]);
}

#[test]
fn what_an_authority_issued_is_trusted_until_it_is_revoked() {
    for server in [Server::Asyncua, Server::NodeOpcua] {
        let Some(secured) = Secured::start(server, &["issued"], &[], false) else { return };
        let put = |name: &str, folder: &str| {
            let folder = secured.site.folder().join("pki").join(folder);
            fs::create_dir_all(&folder).expect("a folder");
            fs::copy(secured.folder.join(name), folder.join(name)).expect("it was made");
        };
        secured.refused("", &["was issued by CN=Authority, whose certificate is not here", "pki/trusted"]);
        put("authority.der", "issuer");
        secured.refused("", &["was issued by CN=Authority, which is not trusted"]);
        put("authority.der", "trusted");
        secured.refused("", &["there is no list here of what CN=Authority has revoked", "?revocation=if-present"]);
        secured.reads("revocation=if-present");
        put("none.crl", "trusted/crl");
        secured.reads("");
        fs::remove_file(secured.site.folder().join("pki/trusted/crl/none.crl")).expect("it was there");
        put("all.crl", "trusted/crl");
        secured.refused("", &["was revoked by CN=Authority on 20"]);
        secured.refused("revocation=if-present", &["was revoked by CN=Authority on 20"]);
    }
}

#[test]
fn our_certificate_is_renewed_and_has_to_be_trusted_anew() {
    let Some(mut secured) = Secured::start(Server::Asyncua, &[], &["--only-secure"], true) else { return };
    secured.trust();
    secured.refused("", &["the server", "our certificate"]);
    secured.be_trusted();
    secured.reads("");
    let output = secured.site.forebay(&["trust", &secured.url(""), "--renew"]);
    assert!(output.status.success(), "{}", complaint(&output));
    assert!(complaint(&output).contains("the servers have to trust it"), "{}", complaint(&output));
    secured.refused("", &["the server", "our certificate", "pki/own/cert.der"]);
    secured.be_trusted();
    secured.reads("");
}

#[test]
fn users_come_with_passwords_and_certificates() {
    let Some(secured) = Secured::start(Server::Asyncua, &[], &["--only-secure"], false) else { return };
    secured.trust();
    let (right, wrong) = (secured.folder.join("right"), secured.folder.join("wrong"));
    fs::write(&right, "secret\n").expect("a file");
    fs::write(&wrong, "guessed\n").expect("a file");
    secured.reads(&format!("user=operator&password_file={}", right.display()));
    secured.refused(&format!("user=operator&password_file={}", wrong.display()), &["the server", "user"]);
    let pair = |name: &str| {
        let file = |end: &str| secured.folder.join(format!("{name}.{end}")).display().to_string();
        format!("user_cert={}&user_key={}", file("der"), file("key"))
    };
    secured.reads(&pair("user"));
    secured.refused(&pair("stranger"), &["the server", "user"]);
    secured.refused(&format!("user=operator&password_file={}/none", secured.folder.display()), &["password's file"]);
}

#[test]
fn node_opcua_is_read_by_every_policy_that_is_secure() {
    let Some(secured) = Secured::start(Server::NodeOpcua, &[], &[], false) else { return };
    secured.reads("policy=none");
    secured.refused("", &["we do not trust the server's certificate"]);
    secured.trust();
    for options in [
        "",
        "policy=basic256sha256",
        "policy=basic256sha256&mode=sign",
        "policy=aes128",
        "policy=aes256",
        "policy=aes256&mode=sign",
    ] {
        secured.reads(options);
    }
    let password = secured.folder.join("password");
    fs::write(&password, "secret").expect("a file");
    secured.reads(&format!("user=operator&password_file={}", password.display()));
    fs::write(&password, "guessed").expect("a file");
    secured.refused(&format!("user=operator&password_file={}", password.display()), &["the server", "user"]);
}

/// What broke them is known since long; plants have servers with nothing better all the same.
#[test]
fn the_two_legacy_policies_are_taken_where_they_are_named_and_never_unasked() {
    let Some(secured) = Secured::start(Server::Asyncua, &[], &["--only-secure", "--legacy"], false) else { return };
    secured.trust();
    for options in ["", "mode=sign", "policy=basic256sha256"] {
        secured.refused(options, &["the server offers Basic128Rsa15", "Basic256", "?policy="]);
    }
    let password = secured.folder.join("password");
    fs::write(&password, "secret").expect("a file");
    for policy in ["basic256", "basic128rsa15"] {
        secured.reads(&format!("policy={policy}"));
        secured.reads(&format!("policy={policy}&mode=sign"));
        secured.reads(&format!("policy={policy}&user=operator&password_file={}", password.display()));
    }
}

#[test]
fn a_certificate_that_is_replaced_while_the_gateway_runs_makes_tags_bad_until_it_is_trusted() {
    let Some(mut secured) = Secured::start(Server::Asyncua, &[], &["--only-secure"], false) else { return };
    secured.trust();
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    secured.site.write(&file(&counting_device(&secured.url("mode=encrypt")), &uplink));
    let mut gateway = secured.site.start();
    good(&recorder);
    secured.far.kill();
    make(&secured.folder, &[]);
    secured.far.start_again();
    bad(&recorder, COUNTER);
    secured.refused("", &["we do not trust the server's certificate"]);
    wait::pass(Duration::from_secs(3));
    assert!(!recorder.last(PLC, COUNTER).is_some_and(|reading| reading.is_good()), "nothing is read from a stranger");
    secured.trust();
    good(&recorder);
    assert!(gateway.ended().is_none(), "the gateway lives");
    drop(gateway);
    nothing_is_missing(&recorder.readings());
}
