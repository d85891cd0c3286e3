//! Against a scripted registry, whose answers are those of the published description.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::uplink::TlsFiles;
use crate::uplink::format::keyed::SchemaId;

/// Gives these answers, one a connection, and collects what was asked.
async fn registry(answers: &'static [(u16, &'static str)], schemas: Schemas) -> (Result<u32, Failure>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serving = tokio::spawn(async move {
        let mut asked = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = Vec::new();
            while !request.ends_with(b"\"}") {
                assert!(stream.read_buf(&mut request).await.expect("a request") > 0, "the request was cut short");
            }
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.expect("the answer is taken");
            asked.push(String::from_utf8(request).expect("UTF-8"));
        }
        asked
    });
    let spec = RegistrySpec {
        url: format!("http://127.0.0.1:{port}/base/").parse().expect("a URL"),
        user: Some("me".into()),
        password: Some(Arc::new(|| Ok(b"secret".to_vec()))),
        tls: TlsFiles::default(),
        schemas,
    };
    let registration = Registration {
        subject: "plant/a-value".into(),
        kind: "AVRO",
        schema: "\"long\"",
        message: &[],
        id: SchemaId::default(),
    };
    let outcome = number(&spec, &registration).await;
    (outcome, serving.await.expect("no panic"))
}

#[tokio::test]
async fn a_schema_is_checked_and_registered_under_its_subject() {
    let answers = &[(200, "{\"is_compatible\":true}"), (200, "{\"id\":258}")];
    let (outcome, asked) = registry(answers, Schemas::Register).await;
    assert_eq!(outcome, Ok(258));
    assert!(asked[0].starts_with("POST /base/compatibility/subjects/plant%2Fa-value/versions/latest HTTP/1.1\r\n"));
    assert!(asked[1].starts_with("POST /base/subjects/plant%2Fa-value/versions HTTP/1.1\r\n"), "{}", asked[1]);
    for request in &asked {
        assert!(request.contains("Authorization: Basic bWU6c2VjcmV0\r\n"), "{request}");
        assert!(request.ends_with(r#"{"schema":"\"long\"","schemaType":"AVRO"}"#), "{request}");
    }
    let first = &[(404, "{\"error_code\":40401,\"message\":\"Subject not found\"}"), (200, "{\"id\":1}")];
    assert_eq!(registry(first, Schemas::Register).await.0, Ok(1));
}

#[tokio::test]
async fn every_refusal_is_told_with_the_next_step() {
    let refused = |answers, schemas, advice: &'static str| async move {
        let failure = registry(answers, schemas).await.0.expect_err("a failure");
        assert!(failure.advice.contains(advice) && failure.cause.contains("plant/a-value"), "{failure:?}");
    };
    refused(&[(200, "{\"is_compatible\":false}")], Schemas::Register, "another topic").await;
    refused(&[(404, "{\"error_code\":40402}"), (409, "{\"message\":\"no\"}")], Schemas::Register, "another topic")
        .await;
    refused(&[(404, "{\"error_code\":40403}")], Schemas::LookUp, "forebay schema").await;
    refused(&[(401, "{}")], Schemas::Register, "password").await;
    refused(&[(503, "")], Schemas::LookUp, "log").await;
    refused(&[(404, "<html>")], Schemas::Register, "path").await;
    refused(&[(200, "{\"id\":-1}")], Schemas::LookUp, "path").await;
}
