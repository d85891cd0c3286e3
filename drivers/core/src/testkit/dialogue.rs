//! A dialogue as text, understood.

use std::time::Duration;

/// A script for both sides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dialogue {
    /// The URL, with `{far}` for host and port of the far side.
    pub url: String,
    /// The addresses of the tags.
    pub tags: Vec<String>,
    /// What the near side does, in order.
    pub acts: Vec<Act>,
    /// What the far side does, in order.
    pub steps: Vec<Step>,
}

/// Something that the near side does, and what must come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Its line in the text, from 1.
    pub line: usize,
    /// What is done.
    pub what: What,
    /// What must come of it, as it is printed.
    pub expected: Vec<String>,
}

/// What the near side can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Polls all tags; the word is what the poll comes to.
    Poll(String),
    /// Writes a value, as text, to the tag of this index.
    Write(usize, String),
    /// Looks whether the device answers; the word is what it comes to.
    Touch(String),
    /// Asks for the identification.
    Identify,
}

/// Something that the far side does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Waits for exactly these bytes; the number is the line in the text.
    Expect(usize, Vec<u8>),
    /// Sends bytes.
    Send(Vec<u8>),
    /// Lets time pass.
    Wait(Duration),
    /// Closes the connection.
    Close,
}

impl Dialogue {
    /// Understands a text.
    ///
    /// # Errors
    /// The first line that is not understood.
    pub fn parse(text: &str) -> Result<Dialogue, String> {
        let mut dialogue = Dialogue::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                dialogue
                    .take(index + 1, line)
                    .ok_or_else(|| format!("line {}: `{line}` is not understood", index + 1))?;
            }
        }
        Ok(dialogue)
    }

    /// `None` where the line is not understood.
    fn take(&mut self, number: usize, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "url" => self.url = rest.trim().into(),
            "tag" => self.tags.push(rest.trim().into()),
            ">" | "<" | "~" | "!" => self.steps.push(step(number, word, rest.trim())?),
            _ => {
                let act = self.act(number, word, rest)?;
                self.acts.push(act);
            }
        }
        Some(())
    }

    fn act(&self, line: usize, word: &str, rest: &str) -> Option<Act> {
        let (doing, expected) = rest.split_once('|').unwrap_or((rest, ""));
        let doing = doing.trim();
        let what = match word {
            "poll" => What::Poll(doing.into()),
            "touch" => What::Touch(doing.into()),
            "identify" => What::Identify,
            "write" => {
                let (tag, value) = doing.split_once(' ')?;
                What::Write(tag.parse().ok().filter(|tag| *tag < self.tags.len())?, value.trim().into())
            }
            _ => return None,
        };
        let expected = expected.split('|').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect();
        Some(Act { line, what, expected })
    }
}

fn step(line: usize, word: &str, rest: &str) -> Option<Step> {
    match word {
        ">" => hex(rest).map(|bytes| Step::Expect(line, bytes)),
        "<" => hex(rest).map(Step::Send),
        "~" => millis(rest).map(Step::Wait),
        _ => (rest == "close").then_some(Step::Close),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() == 2)).collect()
}

fn millis(text: &str) -> Option<Duration> {
    text.strip_suffix("ms")?.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialogue_is_understood_line_by_line() {
        let text = "# Shows it.\nurl x://{far}\ntag a\n\npoll answered | 1.5 | bad timeout 2\n> 00 fF\n~ 50ms\n< 01\n! close\n\
                    write 0 [1, 2] | written [1, 2]\nidentify | vendor=Acme\n";
        let dialogue = Dialogue::parse(text).expect("a dialogue");
        assert_eq!((dialogue.url.as_str(), dialogue.tags.len()), ("x://{far}", 1));
        let steps =
            [Step::Expect(6, vec![0, 255]), Step::Wait(Duration::from_millis(50)), Step::Send(vec![1]), Step::Close];
        assert_eq!(dialogue.steps, steps);
        assert_eq!(dialogue.acts[0].what, What::Poll("answered".into()));
        assert_eq!(dialogue.acts[0].expected, ["1.5", "bad timeout 2"]);
        assert_eq!(dialogue.acts[1].what, What::Write(0, "[1, 2]".into()));
        assert_eq!(dialogue.acts[2].expected, ["vendor=Acme"]);
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        for text in ["> 0", "> 00 g1", "~ 5", "! open", "listen", "write 0 1"] {
            assert!(Dialogue::parse(text).expect_err(text).starts_with("line 1: "), "{text}");
        }
    }
}
