//! Every way to be let in, and what is said when one is not.

use std::sync::Arc;

use forebay::uplink::base64::base64;
use forebay::uplink::{Password, TlsFiles, UplinkSpec};
use tempfile::TempDir;
use tests::certificates::Certificates;
use tests::kafka::{Cluster, Kafka, PASSWORD, USER};

use super::asks::{Asks, now_ms, spec};

fn password(text: String) -> Option<Password> {
    Some(Arc::new(move || Ok(text.clone().into_bytes())))
}

/// What Kafka's own unsecured validator takes (RFC 7515, appendix A.5).
fn token() -> String {
    let url_safe = |text: String| base64(text.as_bytes()).replace('+', "-").replace('/', "_").replace('=', "");
    let seconds = now_ms() / 1_000;
    let claims = format!("{{\"sub\":\"{USER}\",\"iat\":{seconds},\"exp\":{}}}", seconds + 3_600);
    format!("{}.{}.", url_safe("{\"alg\":\"none\"}".into()), url_safe(claims))
}

#[test]
fn every_login_and_tls_lets_the_right_one_in_and_says_why_not() {
    let folder = TempDir::new().expect("a folder");
    let Some(certificates) = Certificates::make(folder.path()) else { return };
    let file = |name: &str| std::fs::read_to_string(certificates.file(name)).expect("a file");
    let own = folder.path().join("broker.pem");
    std::fs::write(&own, file("server.key") + &file("server.pem")).expect("a file");
    let authority = certificates.file("ca.pem");
    let tls = Some((own.to_str().expect("UTF-8"), authority.as_str()));
    let Some(kafka) = Kafka::of(&Cluster { tls, ..Cluster::default() }) else { return };

    let sasl = |mechanism: &str, user: &str, secret: String| UplinkSpec {
        user: Some(user.into()),
        password: password(secret),
        ..spec(&format!("kafka://{}?sasl={mechanism}", kafka.sasl()))
    };
    for mechanism in ["plain", "scram-sha-256", "scram-sha-512"] {
        Asks::connect(&sasl(mechanism, USER, PASSWORD.into())).unwrap_or_else(|error| panic!("{mechanism}: {error}"));
        let refused = Asks::connect(&sasl(mechanism, USER, "wrong".into())).err().expect("refused");
        assert!(refused.contains("Put right `user`, `password`"), "{mechanism}: {refused}");
    }
    Asks::connect(&sasl("oauthbearer", USER, token())).unwrap_or_else(|error| panic!("oauthbearer: {error}"));
    let refused = Asks::connect(&sasl("oauthbearer", USER, "no token".into())).err().expect("refused");
    assert!(refused.contains("refused"), "{refused}");
    let no_login = Asks::connect(&spec(&format!("kafka://{}", kafka.sasl()))).err().expect("refused");
    assert!(no_login.contains("a login"), "{no_login}");

    let with = |ca: &str, cert: Option<&str>| UplinkSpec {
        tls: TlsFiles {
            ca: Some(certificates.file(ca).into()),
            cert: cert.map(|name| certificates.file(&format!("{name}.pem")).into()),
            key: cert.map(|name| certificates.file(&format!("{name}.key")).into()),
        },
        ..spec(&format!("kafkas://{}", kafka.tls()))
    };
    Asks::connect(&with("ca.pem", Some("client"))).expect("mutual TLS");
    let stranger = Asks::connect(&with("ca.pem", Some("stranger"))).err().expect("refused");
    assert!(stranger.contains("certificate"), "{stranger}");
    let distrust = Asks::connect(&with("other.pem", Some("client"))).err().expect("refused");
    assert!(distrust.contains("set `ca`"), "{distrust}");
    let plain = Asks::connect(&spec(&format!("kafka://{}", kafka.tls()))).err().expect("refused");
    assert!(plain.contains("kafkas://"), "{plain}");
}
