//! Patterns for names: `*` is any run of characters, `?` is any one.

/// Whether the whole of `name` is as `pattern` says.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // The last star and how much of the name it has taken: where to go on when what follows does not fit.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, taken)) => {
                    (p, n) = (at + 1, taken + 1);
                    star = Some((at, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let cases = [
            ("press.*", "press.temperature", true),
            ("*.temperature", "press.temperature", true),
            ("press.temp", "press.temperature", false),
            ("p*s.t?mp*e", "press.temperature", true),
            ("*", "", true),
            ("?", "", false),
            ("", "", true),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xbxa", false),
            ("druck.°?", "druck.°C", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    /// The definition, slowly.
    fn slow(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, _) => name.is_empty(),
            (Some(('*', rest)), _) => (0..=name.len()).any(|skip| slow(rest, &name[skip..])),
            (Some((wanted, rest)), Some((got, others))) => (*wanted == '?' || wanted == got) && slow(rest, others),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn is_what_the_slow_way_says(pattern in "[ab*?]{0,8}", name in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &name), slow(&chars(&pattern), &chars(&name)));
        }
    }
}
