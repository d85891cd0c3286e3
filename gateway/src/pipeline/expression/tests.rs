use driver_core::Value;
use proptest::prelude::*;

use super::*;

const TAGS: [(&str, Kind); 5] = [
    ("press.mode", Kind::Number),
    ("press.alarm", Kind::Bool),
    ("press.recipe", Kind::Text),
    ("line 1.a-b", Kind::Number),
    ("press.lost", Kind::Any),
];

fn resolve(parts: &[&str]) -> Result<(TagId, Kind), (String, String)> {
    let name = if parts.len() == 1 { format!("press.{}", parts[0]) } else { parts.join(".") };
    let found = TAGS.iter().zip(0..).find(|((known, _), _)| *known == name);
    found.map(|((_, kind), id)| (TagId(id), *kind)).ok_or((format!("there is no tag `{name}`"), "look".into()))
}

fn parsed(text: &str) -> Result<Expression, Wrong> {
    parse(text, &mut resolve)
}

fn good(tag: TagId) -> Operand {
    Operand::Good(match tag.0 {
        0 => Value::UInt(2),
        1 => Value::Bool(false),
        2 => Value::Text("A7".into()),
        3 => Value::Real(0.5),
        _ => Value::Int(-1),
    })
}

#[test]
fn conditions_over_numbers_truths_and_texts() {
    let cases = [
        ("press.mode == 2", true),
        ("mode == 2", true),
        ("press.mode != 2", false),
        ("press.mode == 2 and not press.alarm", true),
        ("press.mode == 2 && !press.alarm", true),
        ("press.alarm or press.mode > 1", true),
        ("press.alarm || press.mode > 2", false),
        ("not (press.mode < 1 or press.mode > 3)", true),
        ("press.mode * 2 + 1 == 5", true),
        ("2 + 3 * 4 == 14 and 10 - 4 - 3 == 3 and 12 / 3 / 2 == 2", true),
        ("-press.mode == -2 and - -1 == 1", true),
        ("press.recipe == \"A7\"", true),
        ("press.recipe != 'A8'", true),
        ("`line 1`.`a-b` <= 0.5e0", true),
        ("press.lost < 0", true),
        ("true == (not press.alarm)", true),
        ("press.alarm == false", true),
    ];
    for (text, expected) in cases {
        let expression = parsed(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
        assert_eq!(expression.holds(good), Ok(expected), "{text}");
    }
    assert_eq!(parsed("mode == 1 or press.mode == 2").map(|both| both.operands().to_vec()), Ok(vec![TagId(0)]));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let cases = [
        ("press.mod == 2", "press.mod", "no tag `press.mod`"),
        ("press.mode = 2", "=", "gives no answer"),
        ("press.mode == true", "press.mode == true", "a number is compared with true or false"),
        ("press.mode and true", "press.mode", "here stands a number, where true or false is wanted"),
        ("press.recipe < 'B'", "press.recipe", "where a number is wanted"),
        ("not 1", "1", "where true or false is wanted"),
        ("press.mode == 2 press.alarm", "press", "cannot stand here"),
        ("(press.alarm", "(", "has no partner"),
        ("press.", "press", "a name is missing"),
        ("1 +", "", "ends too early"),
        ("", "", "ends too early"),
        ("a § b", "§", "backticks"),
        ("'x", "'x", "no partner"),
        ("1e999 > 1", "1e999", "no number"),
        ("true == not press.alarm", "not", "cannot stand here"),
        ("1 < .5", ".", "cannot stand here"),
        ("* 2", "*", "cannot stand here"),
    ];
    for (text, at, said) in cases {
        let wrong = parsed(text).expect_err(text);
        assert_eq!(&text[wrong.at.clone()], at, "{text}: {wrong:?}");
        let told = format!("{} {}", wrong.message, wrong.help);
        assert!(told.contains(said), "{text}: {told}");
    }
    assert!(parsed(&"(".repeat(200)).is_err_and(|wrong| wrong.message.contains("nested")));
    assert!(parsed(&vec!["true"; 100].join(" and ")).is_err_and(|wrong| wrong.message.contains("nested")));
    assert!(parsed(&" ".repeat(2_000)).is_err_and(|wrong| wrong.message.contains("bytes")));
}

#[test]
fn an_operand_that_cannot_be_used_makes_everything_unknown() {
    let either = parsed("press.mode == 2 or press.alarm").expect("an expression");
    let unknown = |lost: u32| either.holds(|tag| if tag.0 == lost { Operand::Unusable("timeout") } else { good(tag) });
    assert_eq!(unknown(0), Err(NotKnown::Operand(TagId(0), "timeout")));
    assert_eq!(unknown(1), Err(NotKnown::Operand(TagId(1), "timeout")));
    for text in ["press.mode / 0 != 1", "press.mode * 1e308 * 1e308 != 1", "0 / 0 != 0"] {
        assert_eq!(parsed(text).expect(text).holds(good), Err(NotKnown::NoNumber), "{text}");
    }
    let lost = parsed("press.lost != 1").expect("an expression");
    assert_eq!(lost.holds(|_| Operand::Good(Value::LReal(f64::NAN))), Err(NotKnown::NoNumber));
    assert_eq!(lost.holds(|_| Operand::Good(Value::Text("x".into()))), Err(NotKnown::NoNumber));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}|[-a-z0-9.()!<>=&|+*/'\"` ]{0,60}") {
        match parsed(&text) {
            Ok(expression) => drop(expression.holds(good)),
            Err(wrong) => prop_assert!(text.get(wrong.at.clone()).is_some(), "{wrong:?}"),
        }
    }

    #[test]
    fn sums_and_products_are_those_of_f64(a in -1e6..1e6_f64, b in -1e6..1e6_f64, c in 1.0..1e6_f64) {
        let text = format!("({a}) + ({b}) * {c} == {}", format_args!("({})", a + b * c));
        prop_assert_eq!(parsed(&text).expect("an expression").holds(good), Ok(true));
    }
}
