//! What a person and an authority trust, with certificates that openssl made: `samples/make`.

use super::*;

const DAY: i64 = 86_400;
/// 2026-12-01: `samples` were made shortly before.
const NOW: i64 = 1_796_083_200;
const URI_OF_SERVER: &str = "urn:plant:server";

fn pki(folder: &Path, options: &str) -> Pki {
    let url = format!("opc.tcp://127.0.0.1?pki={}{options}", folder.display());
    Pki::of(&OpcUaEndpoint::parse(&url.parse().expect("a URL"), None).expect("an endpoint"))
}

fn now_s() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs() as i64
}

fn shown(der: &[u8]) -> Shown<'_> {
    Shown { der, application_uri: URI_OF_SERVER }
}

fn files(folder: &Path, name: &str) -> usize {
    fs::read_dir(folder.join(name)).map_or(0, |entries| entries.flatten().filter(|one| one.path().is_file()).count())
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/certificate/samples").join(name)
}

fn der(name: &str) -> Vec<u8> {
    fs::read(sample(&format!("{name}.der"))).expect(name)
}

fn put(name: &str, folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    fs::copy(sample(name), folder.join(name)).expect(name);
}

/// Why a certificate is refused; empty where it is not.
fn cause(pki: &Pki, shown: Shown<'_>, now_s: i64) -> String {
    pki.judge(shown, now_s).map_or_else(|Refused { cause, advice }| format!("{cause}. {advice}"), |()| String::new())
}

#[test]
fn our_certificate_is_made_once_and_made_anew_when_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let pki = pki(folder.path(), "");
    let own = pki.own().expect("a certificate");
    let der = fs::read(&own.cert).expect("a certificate");
    let uri = pki.application_uri();
    assert!(uri.starts_with("urn:") && uri.ends_with(":forebay"), "{uri}");
    assert_eq!(Shape::first(&der).and_then(|shape| shape.application_uri()), Some(uri.clone()));
    assert_eq!(pki.own(), Ok(own.clone()));
    assert_eq!(fs::read(&own.cert).expect("a certificate"), der);
    assert!(pki.own_expires_s().is_some_and(|end| end > now_s() + 19 * 365 * DAY));

    let said = pki.renew().expect("another");
    let renewed = fs::read(&own.cert).expect("a certificate");
    assert!(renewed != der && said.contains("servers have to trust it"), "{said}");
    assert_eq!((pki.application_uri(), pki.own()), (uri, Ok(own.clone())));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&own.key).expect("a key").permissions().mode() & 0o777, 0o600);
    }
    let theirs = self::pki(folder.path(), "&cert=/plant.der&key=/plant.pem");
    assert!(theirs.renew().is_err_and(|cause| cause.contains("/plant.der")), "what was made elsewhere stays");
}

#[test]
fn a_stranger_is_kept_until_a_person_trusts_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let pki = pki(folder.path(), "");
    let far = der("alone");
    let refused = cause(&pki, shown(&far), NOW);
    assert!(refused.contains("we do not trust the server's certificate: CN=alone"), "{refused}");
    assert_eq!((files(folder.path(), "rejected"), files(folder.path(), "trusted")), (1, 0));
    let told = pki.describe(shown(&far), NOW).expect("a certificate");
    assert!(told.verdict.is_err() && told.thumbprint.len() == 59, "{told:?}");
    pki.trust(&far).expect("to be kept");
    assert_eq!((files(folder.path(), "rejected"), files(folder.path(), "trusted")), (0, 1));
    assert_eq!(cause(&pki, shown(&far), NOW), "");
    for (at, words) in [(NOW + 4_000 * DAY, "it expired on 20"), (NOW - 30 * DAY, "Check the clocks")] {
        let refused = cause(&pki, shown(&far), at);
        assert!(refused.contains("we refuse the server's certificate") && refused.contains(words), "{refused}");
    }
    let refused = cause(&pki, Shown { application_uri: "urn:another", ..shown(&far) }, NOW);
    assert!(refused.contains("urn:plant:server, and the server says that it is urn:another"), "{refused}");

    // Another host is refused, unless its name is said to be right or the certificate is pinned.
    let at = |options: &str| {
        let url = format!("opc.tcp://10.9.9.9?pki={}{options}", folder.path().display());
        Pki::of(&OpcUaEndpoint::parse(&url.parse().expect("a URL"), None).expect("an endpoint"))
    };
    let refused = cause(&at(""), shown(&far), NOW);
    assert!(refused.contains("it is for 127.0.0.1, press, not for 10.9.9.9") && refused.contains("?pin="), "{refused}");
    assert_eq!(cause(&at("&server_name=PRESS"), shown(&far), NOW), "");
    assert_eq!(cause(&at(&format!("&pin={}", told.thumbprint)), shown(&far), NOW), "");
    let refused = cause(&at(&format!("&pin={}", "0".repeat(40))), shown(&far), NOW);
    assert!(refused.contains("it is not the pinned one: its thumbprint is"), "{refused}");
}

#[test]
fn what_an_authority_issued_is_trusted_with_the_authority() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let pki = pki(folder.path(), "");
    let server = der("server");
    let refused = |at: i64| cause(&pki, shown(&server), at);
    let says = |words: &str| {
        let refused = refused(NOW);
        assert!(refused.contains("we do not trust the server's certificate") && refused.contains(words), "{refused}");
    };
    says("was issued by CN=line, whose certificate is not here");
    put("line.der", &at("issuer"));
    says("CN=line was issued by CN=plant, whose certificate is not here");
    put("plant.der", &at("issuer"));
    says("CN=line was issued by CN=plant, which is not trusted");
    put("plant.der", &at("trusted"));
    says("there is no list here of what CN=line has revoked");
    assert_eq!(cause(&self::pki(folder.path(), "&revocation=if-present"), shown(&server), NOW), "");
    put("line.crl", &at("issuer/crl"));
    says("there is no list here of what CN=plant has revoked");
    put("plant.crl", &at("trusted/crl"));
    assert_eq!(refused(NOW), "", "the whole way is there");
    let stale = refused(NOW + 40 * DAY);
    assert!(stale.contains("of what CN=line has revoked was to be replaced by 20"), "{stale}");
    let early = refused(NOW - 30 * DAY);
    assert!(early.contains("valid from"), "{early}");

    // What came with the server may stand between, and is trusted no more for that.
    fs::remove_file(at("issuer/line.der")).expect("it was there");
    says("CN=line, whose certificate is not here");
    let chain = [server.clone(), der("line")].concat();
    assert_eq!(cause(&pki, shown(&chain), NOW), "");

    // Revoked, be it trusted by itself.
    put("line.der", &at("issuer"));
    let revoked = der("revoked");
    let words = cause(&pki, shown(&revoked), NOW);
    assert!(words.contains("CN=revoked was revoked by CN=line on 20"), "{words}");
    pki.trust(&revoked).expect("to be kept");
    let words = cause(&pki, shown(&revoked), NOW);
    assert!(words.contains("CN=revoked was revoked on 20"), "{words}");
}

#[test]
fn an_authority_does_no_more_than_it_may() {
    let folder = tempfile::tempdir().expect("a folder");
    let pki = pki(folder.path(), "&revocation=if-present");
    for name in ["plant.der", "server.der", "elliptic_ca.der"] {
        put(name, &folder.path().join("trusted"));
    }
    put("line.der", &folder.path().join("issuer"));
    for (name, words) in [
        ("by_server", "CN=server is no authority, and has signed a certificate all the same"),
        ("client", "its extended key usage lacks serverAuth"),
        ("signer", "its key usage lacks digitalSignature or keyEncipherment"),
        ("sha1", "the signature of CN=sha1 was made in a way that is not taken, over SHA-1"),
        ("forged", "CN=forged names CN=line as its issuer, which did not sign it"),
        ("constrained", "is restricted in a way that is not known here, 2.5.29.30"),
    ] {
        let refused = cause(&pki, shown(&der(name)), NOW);
        assert!(refused.contains(words), "{name}: {refused}");
    }
    // A flipped bit anywhere in what is signed is no longer signed.
    let mut server = der("elliptic");
    assert_eq!(cause(&pki, shown(&server), NOW), "", "P-256 is understood");
    let at = server.len() / 2;
    server[at] ^= 1;
    assert_ne!(cause(&pki, shown(&server), NOW), "");
}
