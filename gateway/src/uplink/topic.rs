//! Topics: the template that the operator writes, and the names that are put into it.
//!
//! `{gateway}/{device}/{tag}` gives one message a reading; a template without `{tag}` one message a batch and device.

use super::UplinkError;

/// The longest topic, bytes: MQTT 5, 1.5.4, which is taken for keys as well; and Kafka's `Topic.validate`.
const MQTT_BYTES_MAX: usize = 65_535;
const KAFKA_BYTES_MAX: usize = 249;

const PLACEHOLDERS: [&str; 3] = ["gateway", "device", "tag"];

/// How a destination writes the names in its topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// MQTT 5, 4.7: `+`, `#` and control characters may not stand in a topic; in names they are percent-encoded.
    Mqtt,
    /// Topics of Kafka (`Topic.validate`): letters, digits, `.`, `_` and `-` of ASCII, at most 249. In names a slash becomes a
    /// dot and what else cannot stand there `_`: records bear the names as they are.
    Kafka,
    /// Keys of records: names stand as they are.
    Key,
}

/// A topic with places for names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    rules: Rules,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Device,
    Tag,
}

impl Template {
    /// Understands a template and puts the gateway's name in.
    pub fn parse(text: &str, gateway: &str, rules: Rules) -> Result<Template, UplinkError> {
        let error = |message: String| UplinkError { key: "topic", message };
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            literal.push_str(&rest[..open]);
            let name = rest[open..].strip_prefix('{').and_then(|after| after.split_once('}'));
            let Some((name, after)) = name else {
                return Err(error(format!("`{text}` has a brace without its partner")));
            };
            match name {
                "gateway" => push_name(gateway, rules, &mut literal),
                "device" => push_part(&mut parts, &mut literal, Part::Device),
                "tag" => push_part(&mut parts, &mut literal, Part::Tag),
                _ => {
                    let known = PLACEHOLDERS.map(|known| format!("{{{known}}}")).join(", ");
                    return Err(error(format!("`{{{name}}}` is not known here; write one of {known}")));
                }
            }
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        let template = Template { parts, rules };
        template.check(text).map_err(error)?;
        Ok(template)
    }

    fn check(&self, text: &str) -> Result<(), String> {
        if self.parts.is_empty() {
            return Err("a topic is not empty: write, for example, {gateway}/{device}/{tag}".into());
        }
        for part in &self.parts {
            let Part::Literal(literal) = part else { continue };
            if let Some(wrong) = literal.chars().find(|character| is_reserved(*character, self.rules)) {
                let wrong = wrong.escape_debug();
                return Err(match self.rules {
                    Rules::Kafka => format!(
                        "`{wrong}` in `{text}` cannot stand in a topic of Kafka: write letters, digits, `.`, `_` and `-`"
                    ),
                    Rules::Mqtt | Rules::Key => {
                        format!("`{wrong}` in `{text}` cannot be published to: it is a wildcard or a control character")
                    }
                });
            }
        }
        let belongs_to_the_broker = self.rules == Rules::Mqtt
            && matches!(self.parts.first(), Some(Part::Literal(first)) if first.starts_with('$'));
        if belongs_to_the_broker {
            return Err(format!("`{text}` begins with `$`: those topics belong to the broker"));
        }
        let bytes_max = if self.rules == Rules::Kafka { KAFKA_BYTES_MAX } else { MQTT_BYTES_MAX };
        match self.render("", "").len() {
            length if length <= bytes_max => Ok(()),
            length => Err(format!("the topic has {length} bytes; at most {bytes_max} are possible")),
        }
    }

    /// Whether each reading has a topic of its own.
    pub fn has_tag(&self) -> bool {
        self.parts.contains(&Part::Tag)
    }

    /// Whether each device has a topic of its own.
    pub fn has_device(&self) -> bool {
        self.parts.contains(&Part::Device)
    }

    /// The topic for a device's tag; the tag is ignored when the template does not ask for it.
    pub fn render(&self, device: &str, tag: &str) -> String {
        let mut topic = String::with_capacity(64);
        for part in &self.parts {
            match part {
                Part::Literal(literal) => topic.push_str(literal),
                Part::Device => push_name(device, self.rules, &mut topic),
                Part::Tag => push_name(tag, self.rules, &mut topic),
            }
        }
        topic
    }
}

/// A topic of the gateway itself, such as `acme/line7/$state`.
pub fn own(gateway: &str, word: &str, rules: Rules) -> String {
    let mut topic = String::new();
    push_name(gateway, rules, &mut topic);
    topic.push_str("/$");
    topic.push_str(word);
    topic
}

fn push_part(parts: &mut Vec<Part>, literal: &mut String, part: Part) {
    if !literal.is_empty() {
        parts.push(Part::Literal(std::mem::take(literal).into()));
    }
    parts.push(part);
}

/// `%` is encoded too, so that two names never give one topic. Slashes stay: they make levels.
fn push_name(name: &str, rules: Rules, topic: &mut String) {
    let encoded = |character: char| rules != Rules::Key && (character == '%' || is_reserved(character, rules));
    if !name.contains(encoded) {
        return topic.push_str(name);
    }
    if rules == Rules::Kafka {
        return topic.extend(name.chars().map(|character| match character {
            '/' => '.',
            character if is_reserved(character, rules) => '_',
            character => character,
        }));
    }
    for character in name.chars() {
        if encoded(character) {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                topic.push_str(&format!("%{byte:02X}"));
            }
        } else {
            topic.push(character);
        }
    }
}

fn is_reserved(character: char, rules: Rules) -> bool {
    match rules {
        Rules::Mqtt => character.is_control() || matches!(character, '+' | '#'),
        Rules::Kafka => !character.is_ascii_alphanumeric() && !matches!(character, '.' | '_' | '-'),
        Rules::Key => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Template, UplinkError> {
        Template::parse(text, "acme/line7", Rules::Mqtt)
    }

    #[test]
    fn names_take_their_places() {
        let cases = [
            ("{gateway}/{device}/{tag}", "acme/line7/press/current", true),
            ("{gateway}/{device}", "acme/line7/press", false),
            ("plant", "plant", false),
            ("a/{tag}/b/{tag}", "a/current/b/current", true),
        ];
        for (text, topic, has_tag) in cases {
            let template = parse(text).expect(text);
            assert_eq!((template.render("press", "current").as_str(), template.has_tag()), (topic, has_tag));
        }
    }

    #[test]
    fn what_cannot_be_a_topic_is_refused_with_its_reason() {
        let cases = [
            ("", "not empty"),
            ("{gateway}/{tga}", "`{tga}` is not known"),
            ("{gateway", "brace"),
            ("a}b", "brace"),
            ("a/+/{tag}", "wildcard"),
            ("a/#", "wildcard"),
            ("a\0b", "control"),
            ("$SYS/{tag}", "belong to the broker"),
        ];
        for (text, expected) in cases {
            let error = parse(text).expect_err(text);
            assert!(error.message.contains(expected), "{text}: {}", error.message);
        }
        assert!(parse(&"x".repeat(65_536)).is_err());
    }

    #[test]
    fn wildcards_in_names_are_encoded() {
        let template = parse("{device}/{tag}").expect("a template");
        assert_eq!(template.render("a+b", "50%#"), "a%2Bb/50%25%23");
        assert_eq!(own("acme/l#7", "state", Rules::Mqtt), "acme/l%237/$state");
    }

    #[test]
    fn topics_of_kafka_and_keys_have_rules_of_their_own() {
        let kafka = |text| Template::parse(text, "acme/lïne7", Rules::Kafka);
        assert_eq!(kafka("plant.{gateway}.{device}").expect("a topic").render("a b%", ""), "plant.acme.l_ne7.a_b_");
        assert!(kafka("plant/x").is_err_and(|error| error.message.contains("letters")));
        assert!(kafka(&"x".repeat(250)).is_err_and(|error| error.message.contains("249")));
        let key = Template::parse("{device}/{tag}", "acme", Rules::Key).expect("a key");
        assert_eq!(key.render("a+b", "50%#"), "a+b/50%#");
    }

    proptest! {
        #[test]
        fn no_name_makes_a_wildcard_and_no_two_names_make_one_topic(one in "\\PC{0,8}", two in "\\PC{0,8}") {
            let template = parse("x/{tag}").expect("a template");
            let (first, second) = (template.render("", &one), template.render("", &two));
            prop_assert!(!first.contains(['+', '#', '\0']));
            prop_assert_eq!(first == second, one == two);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[{}a-z/$+#]{0,24}") {
            if let Ok(template) = parse(&text) {
                prop_assert!(!template.render("d", "t").is_empty());
            }
        }
    }
}
