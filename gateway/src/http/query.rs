//! What stands behind the `?` of a path. No I/O.

/// The parameters of a request, decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

/// The most parameters that are looked at.
const PARAMETERS_MAX: usize = 64;

impl Query {
    /// Those of a query; what `known` does not name is an error, as a parameter that is misspelt would do nothing.
    pub(super) fn parse(text: Option<&str>, known: &[&str]) -> Result<Query, String> {
        let mut parameters = Vec::new();
        for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(key), Some(value)) = (decoded(key), decoded(value)) else {
                return Err("the query is no UTF-8 in percent encoding".into());
            };
            if !known.contains(&key.as_str()) {
                return Err(format!("there is no parameter `{}`; write {}", shown(&key), known.join(", ")));
            }
            if parameters.len() == PARAMETERS_MAX {
                return Err(format!("at most {PARAMETERS_MAX} parameters are taken"));
            }
            parameters.push((key, value));
        }
        Ok(Query(parameters))
    }

    /// The first value of a parameter.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    /// All values of a parameter.
    pub(super) fn all<'q>(&'q self, key: &str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// A whole number in bounds, or `otherwise` where none is given.
    pub(super) fn number(&self, key: &str, otherwise: usize, max: usize) -> Result<usize, String> {
        match self.get(key) {
            None => Ok(otherwise),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| (1..=max).contains(number))
                .ok_or_else(|| format!("`{key}` is a number from 1 to {max}")),
        }
    }
}

/// A text of a stranger, short and without control characters.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(40).collect()
}

/// Percent encoding and `+` undone (RFC 3986 2.1, HTML forms).
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
                bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = &rest[2..];
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_unknown_ones_refused() {
        let query = Query::parse(Some("match=press.%C2%B0*&match=a+b&limit=5&&empty"), &["match", "limit", "empty"]);
        let query = query.expect("a query");
        assert_eq!(query.all("match").collect::<Vec<_>>(), ["press.°*", "a b"]);
        assert_eq!((query.number("limit", 7, 9), query.number("none", 7, 9)), (Ok(5), Ok(7)));
        assert_eq!((query.get("empty"), query.get("none")), (Some(""), None));
        for limit in ["limit=0", "limit=10", "limit=x", "limit=-1", "limit="] {
            let query = Query::parse(Some(limit), &["limit"]).expect("a query");
            assert!(query.number("limit", 7, 9).is_err(), "{limit}");
        }
        for wrong in ["other=1", "match=%", "match=%f", "match=%zz", "match=%+1", "match=%ff"] {
            assert!(Query::parse(Some(wrong), &["match"]).is_err(), "{wrong}");
        }
        assert!(Query::parse(Some(&"m=&".repeat(100)), &["m"]).is_err());
    }
}
