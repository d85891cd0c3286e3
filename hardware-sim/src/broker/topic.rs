//! Topics and filters (MQTT 5, 4.7).

/// Whether a topic may be published to.
pub(super) fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
}

/// Whether a filter is well formed; shared subscriptions are not offered here.
pub(super) fn is_filter(filter: &str) -> bool {
    if filter.is_empty() || filter.contains('\0') || filter.starts_with("$share/") {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let is_wildcard = level == "+" || (level == "#" && levels.peek().is_none());
        if !is_wildcard && level.contains(['+', '#']) {
            return false;
        }
    }
    true
}

/// Whether a filter takes a topic. Wildcards at the start take no topic that starts with `$`.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topic = topic.split('/');
    for level in filter.split('/') {
        if level == "#" {
            return true;
        }
        match topic.next() {
            Some(found) if level == "+" || level == found => {}
            _ => return false,
        }
    }
    topic.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_take_what_the_standard_says() {
        for (filter, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("+/+", "/finance", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "a/b", true),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn malformed_filters_and_topics_are_told() {
        for filter in ["a/#/b", "a#", "a+/b", "", "$share/g/a", "a\0"] {
            assert!(!is_filter(filter), "{filter:?}");
        }
        assert!(["#", "+", "a/+/b/#", "/"].iter().all(|filter| is_filter(filter)));
        assert!(is_topic("a/b") && !is_topic("a/+") && !is_topic(""));
    }
}
