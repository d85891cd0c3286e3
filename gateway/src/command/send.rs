//! `forebay command DEVICE.TAG VALUE`: a command to the running gateway, through its HTTP door.

mod post;

use std::net::SocketAddr;
use std::path::PathBuf;

use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};

use self::post::post;
use super::Exit;
use super::stdout::print;
use crate::config::{self, Config};
use crate::http::Token;

/// Write a tag through the running gateway: through its guard, into its audit trail.
#[derive(clap::Args)]
#[command(after_help = "\
The gateway's file says where its HTTP server listens and which tokens it knows (`http:`), and this user must be allowed
to read the token. `forebay write` writes to a device directly, with no guard and no record.
Exit codes: 0 the device holds it; 1 refused, or the configuration is wrong; 2 the command line is wrong; 3 the gateway
or the device failed, or nobody knows.")]
pub(super) struct Args {
    /// The tag, as DEVICE.TAG
    tag: String,
    /// What it shall hold, in the unit of its readings: 21.5, true, text, 1.5s, or [1, 2, 3] for an array
    #[arg(allow_hyphen_values = true)]
    value: String,
    /// The gateway's file
    #[arg(short, long, value_name = "FILE", default_value = "gateway.yaml")]
    config: PathBuf,
    /// Whose token is shown, of those under `http: { tokens: … }`; without it the first
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// What tells this command from all others: sent again under the same id it is not executed again
    #[arg(long)]
    id: Option<String>,
    /// After which it is not executed any more, such as 2026-11-28T05:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    match send(args) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn send(args: &Args) -> Result<Exit, Exit> {
    let config = config::read(&args.config).map(|checked| checked.config).map_err(|unusable| {
        eprint!("{unusable}");
        Exit::Configuration
    })?;
    let (address, token) = door(args, &config)?;
    let secret = token.secret.fetch().map_err(|cause| {
        eprintln!("the token {} cannot be fetched: {cause}", token.name);
        Exit::Configuration
    })?;
    let (device, tag) = target(&args.tag, &config)?;
    let id = args.id.clone().map_or_else(fresh_id, Ok)?;
    let mut command = json!({ "id": id, "device": device, "tag": tag, "text": args.value });
    if let Some(expires) = &args.expires {
        command["expires"] = json!(expires);
    }
    let (status, body) =
        post(address, "/api/v1/commands", &secret, command.to_string().as_bytes()).map_err(|cause| {
            eprintln!("the gateway at http://{address} does not answer: {cause}. Does it run with this file?");
            Exit::Failure
        })?;
    let answer: Value = serde_json::from_slice(&body).map_err(|_| {
        eprintln!("what answers at http://{address} is no gateway (status {status})");
        Exit::Failure
    })?;
    Ok(report(args, &answer))
}

/// Where the gateway listens, and the token that is shown.
fn door<'c>(args: &Args, config: &'c Config) -> Result<(SocketAddr, &'c Token), Exit> {
    let wrong = |what: &str| {
        eprintln!("{}: {what}", args.config.display());
        Exit::Configuration
    };
    let address =
        config.http.listen.ok_or_else(|| wrong("the gateway's HTTP server is off; write `http: { listen: … }`"))?;
    let tokens = &config.http.tokens;
    let found = match &args.name {
        Some(name) => tokens.iter().find(|token| &*token.name == name),
        None => tokens.first(),
    };
    let token = found.ok_or_else(|| match &args.name {
        Some(name) => wrong(&format!("there is no token `{name}` under `http: {{ tokens: … }}`")),
        None => wrong("nobody may send commands; write `http: { tokens: { NAME: { secret: { file: … } } } }`"),
    })?;
    Ok((address, token))
}

/// The device and the tag of a name; both may hold dots.
fn target<'a>(text: &'a str, config: &Config) -> Result<(&'a str, &'a str), Exit> {
    let schema = config.tags.schema();
    let names = || (0..schema.tags()).filter_map(|id| schema.tag(driver_core::TagId(id as u32)));
    let splits = || text.match_indices('.').map(|(at, _)| (&text[..at], &text[at + 1..]));
    let known = splits().find(|split| names().any(|names| (names.device, names.tag) == *split));
    known.or_else(|| splits().next()).ok_or_else(|| {
        eprintln!("`{text}` names no tag; write DEVICE.TAG");
        Exit::Configuration
    })
}

fn fresh_id() -> Result<String, Exit> {
    let mut bytes = [0; 8];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => Ok(format!("cli-{:016x}", u64::from_be_bytes(bytes))),
        Err(_) => {
            eprintln!("the system gives no random numbers; choose an id with --id");
            Err(Exit::Failure)
        }
    }
}

fn report(args: &Args, answer: &Value) -> Exit {
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    let exit = match text("result") {
        "done" => Exit::Success,
        "refused" => Exit::Configuration,
        "" if answer["error"].is_string() => Exit::Configuration,
        _ => Exit::Failure,
    };
    if args.json {
        print(&format!("{answer:#}\n"));
        return exit;
    }
    let mut line = format!("{}: ", args.tag);
    line.push_str(if answer["error"].is_string() { text("error") } else { text("result") });
    for (name, said) in [("held", "it holds"), ("old", "it held")] {
        if !answer[name].is_null() {
            line.push_str(&format!(", {said} {}", answer[name]));
        }
    }
    if answer["repeated"] == true {
        line.push_str(", as was said before");
    }
    if !text("reason").is_empty() {
        line.push_str(&format!(": {}", text("reason")));
    }
    if exit == Exit::Success {
        print(&format!("{line}\n"))
    } else {
        eprintln!("{line}")
    }
    exit
}
