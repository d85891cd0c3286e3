//! What the sources share of S7.

/// The URL of a PLC, with the rack and the slot that the file names, and without the port that all have.
pub(super) fn url(host: &str, rack: Option<String>, slot: Option<String>) -> String {
    let options = [("rack", rack), ("slot", slot)];
    let options: Vec<String> =
        options.into_iter().filter_map(|(key, value)| value.map(|value| format!("{key}={value}"))).collect();
    let query = if options.is_empty() { String::new() } else { format!("?{}", options.join("&")) };
    format!("s7://{}{query}", host.strip_suffix(":102").unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_does_not_say_is_not_in_the_url() {
        assert_eq!(url("10.0.0.13:102", None, None), "s7://10.0.0.13");
        assert_eq!(url("10.0.0.13:1102", None, Some("2".into())), "s7://10.0.0.13:1102?slot=2");
        assert_eq!(url("plc", Some("0".into()), Some("1".into())), "s7://plc?rack=0&slot=1");
    }
}
