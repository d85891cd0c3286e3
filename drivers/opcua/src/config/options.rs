//! The scheme and options of an OPC UA URL, with one line of help each.

/// The schemes that this driver serves.
pub const SCHEMES: &[&str] = &["opc.tcp"];

/// What may stand for a policy.
pub(super) const POLICIES: &str =
    "auto, none, basic256sha256, aes128, aes256, or where the server has nothing better basic256 or basic128rsa15";

/// The options that may stand in the query.
pub const OPTIONS: &[(&str, &str)] = &[
    (
        "policy",
        "security: auto (default: the strongest offered), none, basic256sha256, aes128, aes256, basic256, basic128rsa15",
    ),
    ("mode", "encrypt (default: messages are signed and encrypted) or sign"),
    ("user", "the user's name; without it the session is anonymous"),
    ("password_file", "the file that holds the user's password"),
    ("password_env", "the variable of the environment that holds the user's password"),
    ("user_cert", "the user's certificate (DER or PEM), instead of `user`"),
    ("user_key", "the private key of the user's certificate (PEM)"),
    ("cert", "our application certificate (DER or PEM), instead of the one made once and kept"),
    ("key", "the private key of our application certificate (PEM)"),
    ("pki", "the folder of certificates; default `pki` in the state folder"),
    ("pin", "SHA-1 thumbprint of the only server certificate that is accepted"),
    ("server_name", "the name that the server's certificate bears, where it is not the URL's host (NAT)"),
    ("revocation", "an authority's list of revoked certificates: required (default) or if-present"),
    ("read", "subscribe (default: the server tells what changes) or poll (every value is read each interval)"),
    ("time", "the time of a reading: source (default), server or arrival"),
    ("sampling", "how often the server looks at a subscribed value, such as 100ms; default the tag's interval"),
    ("queue", "values that the server keeps for a subscribed tag between two notifications, 1 to 1000; default 1"),
    ("deadband", "who keeps deadbands: gateway (default) or server, which then tells less, if it keeps them rightly"),
    ("history", "how far back the server's history is read after an outage, such as 60min, or off; default a day"),
    ("rebrowse", "how often the server is looked through again where `browse:` has patterns; default 10min"),
    ("timeout", "how long an answer may take, such as 2s; default 5s"),
    ("session_timeout", "how long the server keeps a session that it hears nothing of; default 60s"),
];
