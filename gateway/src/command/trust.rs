//! `forebay trust URL`: shows the certificate of a server and trusts it from now on; with `--renew` makes ours anew.

use std::io::{BufRead, IsTerminal, Write};

use driver_core::FarCertificate;
use serde_json::json;

use super::Exit;
use super::one_shot::{Purpose, block_on, line};
use super::stdout::print;

/// Show the certificate of a server, and trust it once its thumbprint was compared.
#[derive(clap::Args)]
#[command(after_help = "\
Compare the thumbprint with the one that the server's own tool shows: that is what proves who answers.
On a terminal it asks. Elsewhere nothing is trusted without --thumbprint or --yes; then the exit code is 1.
With --renew no server is asked: our own certificate and key, which lie in the URL's folder of certificates, are made
anew. A running gateway shows them from its next connect on; until a server trusts them it refuses us.")]
pub(super) struct Args {
    /// The server, such as opc.tcp://10.0.0.12:4840
    url: String,
    /// Trust it if its thumbprint is this one (SHA-1, with or without colons)
    #[arg(long, value_name = "HEX", conflicts_with = "yes")]
    thumbprint: Option<String>,
    /// Trust it whatever it is
    #[arg(long)]
    yes: bool,
    /// Make our own certificate anew instead
    #[arg(long, conflicts_with_all = ["thumbprint", "yes", "json"])]
    renew: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What became of it.
enum Outcome {
    /// It was trusted before, and is valid.
    Already,
    /// It is kept there.
    Trusted(String),
    /// It is kept there, and the server is refused all the same, for this reason.
    Refused(String, String),
    /// Nothing was kept, for this reason.
    Left(String),
}

pub(super) fn run(args: &Args) -> Exit {
    match trust(args) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn trust(args: &Args) -> Result<Exit, Exit> {
    let line = line(&args.url, &[], Purpose::Write)?;
    let told = |cause: String| {
        eprintln!("{cause}");
        Exit::Failure
    };
    if args.renew {
        eprintln!("{}", line.renew().map_err(told)?);
        return Ok(Exit::Success);
    }
    let shown = block_on(line.certificate())?.map_err(|error| told(error.to_string()))?;
    let Some(certificate) = shown else {
        eprintln!("{} shows no certificate: there is nothing to trust", args.url);
        return Ok(Exit::Failure);
    };
    if !args.json {
        print(&described(&certificate));
    }
    let outcome = match wanted(args, &certificate) {
        _ if certificate.verdict.is_ok() => Outcome::Already,
        Ok(()) => {
            let place = line.trust(&certificate).map_err(told)?;
            // Once more, since trust is not all that it takes: it may be too old, or for another host.
            let again = block_on(line.certificate())?.map_err(|error| told(error.to_string()))?;
            match again.and_then(|certificate| certificate.verdict.err()) {
                None => Outcome::Trusted(place),
                Some(why) => Outcome::Refused(place, why),
            }
        }
        Err(why) => Outcome::Left(why),
    };
    tell(args, &certificate, &outcome);
    Ok(match outcome {
        Outcome::Already | Outcome::Trusted(_) => Exit::Success,
        Outcome::Refused(..) | Outcome::Left(_) => Exit::Incomplete,
    })
}

/// Whether whoever asks wants it trusted; if not, why and what to do.
fn wanted(args: &Args, certificate: &FarCertificate) -> Result<(), String> {
    if args.yes {
        return Ok(());
    }
    match &args.thumbprint {
        Some(given) if digits(given) == digits(&certificate.thumbprint) => Ok(()),
        Some(_) => Err("the thumbprint is another one: this is not the server that you mean, or its certificate was \
                        replaced"
            .into()),
        None if args.json || !std::io::stdin().is_terminal() => Err(format!(
            "compare the thumbprint with the one that the server's own tool shows; then: forebay trust '{}' --thumbprint {}",
            args.url, certificate.thumbprint
        )),
        None => asked(),
    }
}

fn asked() -> Result<(), String> {
    eprint!("Is this the thumbprint that the server's own tool shows? Trust it from now on? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stderr().flush().and_then(|()| std::io::stdin().lock().read_line(&mut answer));
    match read {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        Ok(_) => Err("it was not said that it is".into()),
        Err(cause) => Err(format!("the answer cannot be read: {cause}")),
    }
}

fn digits(thumbprint: &str) -> String {
    thumbprint.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_lowercase()
}

fn described(certificate: &FarCertificate) -> String {
    let FarCertificate { subject, issuer, thumbprint, valid_from, valid_to, names, verdict, .. } = certificate;
    let verdict = match verdict {
        Ok(()) => "trusted",
        Err(why) => why,
    };
    let text = format!(
        "subject     {subject}\nissuer      {issuer}\nthumbprint  {thumbprint}\nvalid       {valid_from} to {valid_to}\n\
         names       {}\nverdict     {verdict}\n",
        names.join(", ")
    );
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c }).collect()
}

fn tell(args: &Args, certificate: &FarCertificate, outcome: &Outcome) {
    let (word, detail) = match outcome {
        Outcome::Already => ("already", "it is trusted already".to_owned()),
        Outcome::Trusted(place) => ("trusted", format!("trusted from now on: {place}")),
        Outcome::Refused(place, why) => ("refused", format!("trusted from now on: {place}\nbut still: {why}")),
        Outcome::Left(why) => ("left", format!("nothing was trusted: {why}")),
    };
    if !args.json {
        eprintln!("{detail}");
        return;
    }
    let FarCertificate { subject, issuer, thumbprint, valid_from, valid_to, names, verdict, .. } = certificate;
    let told = json!({
        "url": args.url,
        "subject": subject,
        "issuer": issuer,
        "thumbprint": thumbprint,
        "valid_from": valid_from,
        "valid_to": valid_to,
        "names": names,
        "accepted": verdict.is_ok(),
        "verdict": verdict.as_ref().err(),
        "outcome": word,
        "detail": detail,
    });
    print(&format!("{told:#}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> FarCertificate {
        FarCertificate {
            subject: "CN=Press\u{1b}[2J".into(),
            issuer: "CN=Press".into(),
            thumbprint: "AA:01".into(),
            valid_from: "2026-01-01T00:00:00Z".into(),
            valid_to: "2027-01-01T00:00:00Z".into(),
            names: vec!["urn:press".into(), "press".into()],
            verdict: Err("it is not trusted".into()),
            der: Vec::new(),
        }
    }

    fn args(thumbprint: Option<&str>, yes: bool) -> Args {
        Args { url: "opc.tcp://h".into(), thumbprint: thumbprint.map(str::to_owned), yes, renew: false, json: true }
    }

    #[test]
    fn nothing_is_trusted_without_a_word() {
        assert_eq!(wanted(&args(Some("aa01"), false), &certificate()), Ok(()));
        assert_eq!(wanted(&args(None, true), &certificate()), Ok(()));
        let wrong = wanted(&args(Some("aa:02"), false), &certificate()).expect_err("another thumbprint");
        assert!(wrong.contains("another one"), "{wrong}");
        let silent = wanted(&args(None, false), &certificate()).expect_err("nobody said so");
        assert!(silent.contains("--thumbprint AA:01"), "{silent}");
    }

    #[test]
    fn a_subject_does_nothing_to_the_terminal() {
        let text = described(&certificate());
        assert!(text.contains("CN=Press\u{FFFD}[2J\n") && text.contains("names       urn:press, press\n"), "{text}");
    }
}
