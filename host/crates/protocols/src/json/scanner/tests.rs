use serde::de::IgnoredAny;

use super::*;
use crate::memory_budget::MemoryBudget;
use crate::meter::Client;

/// The fields of an object, and what is wrong with it.
fn fields(text: &str) -> Result<Vec<(Quoted<'_>, Scanned<'_>)>, Problem> {
    let mut scanner = Scanner::new(text);
    let mut fields = Vec::new();
    scanner.enter()?;
    while let Some(name) = scanner.name()? {
        fields.push((name, scanner.value()?));
    }
    scanner.end().map(|()| fields)
}

/// The value of an object's only field.
fn value(json: &str) -> Result<String, String> {
    let object = format!("{{\"a\":{json}}}");
    Ok(format!("{:?}", fields(&object)?[0].1))
}

fn meter(memory: usize) -> Meter {
    Meter::new(MemoryBudget::new(memory).reserve(), Client::default())
}

/// The text of a string.
fn text(json: &str, memory: usize) -> Result<Text, String> {
    let whole = Text::from(format!("{{\"a\":{json}}}"));
    let mut meter = meter(memory);
    match fields(&whole)?[0].1 {
        Scanned::Text(quoted) => quoted.text(&whole, &mut meter),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_fields_of_an_object_come_in_their_order() {
    let object = " {\t\"a\" : \"b\" , \"c\":[1, {\"d\":[]}] ,\"e\" :-1.5e+3,\"f\":{} \r\n}\n";
    let fields = fields(object).unwrap();
    let names: Vec<_> = fields.iter().map(|(name, _)| name.plain()).collect();
    assert_eq!(names, ["a", "c", "e", "f"].map(Some));
    assert_eq!(fields[0].1, Scanned::Text(Quoted::Plain("b")));
    assert_eq!(fields[1].1, Scanned::Other("[1, {\"d\":[]}]"));
    assert_eq!(fields[2].1, Scanned::Number("-1.5e+3"));
    assert_eq!(fields[3].1, Scanned::Other("{}"));
}

#[test]
fn a_text_with_escapes_is_charged_and_others_share_the_memory() {
    let escaped = format!("\"{}\"", "\\t".repeat(1000));
    assert_eq!(text(&escaped, 3000), Ok("\t".repeat(1000).into()));
    assert_eq!(text(&escaped, 1000), Err("stopped".to_owned()));
    assert_eq!(text("\"a\\n\\u00e9\"", 100), Ok("a\né".into()));
    let plain = format!("\"{}\"", "t".repeat(1000));
    assert_eq!(text(&plain, 0), Ok("t".repeat(1000).into()));
    let reason = text("\"\\ud800\"", 100).unwrap_err();
    assert!(reason.contains("string"), "{reason}");
}

#[test]
fn strings_end_at_their_quote_wherever_it_is() {
    for length in 0..40 {
        for special in ["\"", "\\\"", "\\\\", "é", "\u{1f600}"] {
            let expected = format!("{}{special}", "x".repeat(length));
            let json = serde_json::to_string(&expected).unwrap();
            assert_eq!(text(&json, 100), Ok(expected.into()), "{json}");
        }
        for control in ["\u{0}", "\n", "\u{1f}"] {
            let json = format!("\"{}{control}\"", "x".repeat(length));
            assert!(value(&json).unwrap_err().contains("control"), "{json:?}");
        }
    }
}

#[test]
fn objects_and_arrays_may_be_in_each_other_but_not_without_end() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let most = DEPTH_MAX as usize - 1;
    assert!(value(&nested(most)).is_ok());
    assert!(value(&nested(most + 1)).is_err());
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(value(&objects(most)).is_ok());
    assert!(value(&objects(most + 1)).is_err());
    assert!(value(&nested(1 << 20)).is_err());
    let mut scanner = Scanner::new("{\"a\":{\"a\":1}}");
    for _ in 0..2 {
        scanner.enter().unwrap();
        scanner.name().unwrap();
    }
    assert_eq!(scanner.depth, 2);
    scanner.value().unwrap();
    assert_eq!(scanner.name(), Ok(None));
    assert_eq!(scanner.name(), Ok(None));
    assert_eq!((scanner.depth, scanner.end()), (0, Ok(())));
}

/// Calls a function with random texts, some of which are JSON, as it returns.
fn each_text(check: impl Fn(&str) -> bool) {
    const PIECES: [&str; 30] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u00e9",
        "\\ud800",
        "\\x",
        "a",
        "é",
        "\n",
        "\u{1}",
        " ",
        "0",
        "1",
        "-",
        ".",
        "e",
        "E+",
        "true",
        "false",
        "null",
        "nul",
        "\"k\":",
        "\"v\"",
        "{\"k\":1}",
        "[1,2]",
    ];
    use rand::{RngExt, SeedableRng};
    let mut rng = rand::rngs::StdRng::seed_from_u64(3);
    let mut valid = 0;
    for _ in 0..400_000 {
        let pieces = 0..rng.random_range(1..10);
        let json: String = pieces
            .map(|_| PIECES[rng.random_range(0..PIECES.len())])
            .collect();
        valid += usize::from(check(&json));
    }
    assert!(valid > 10_000, "{valid}");
}

#[test]
fn what_is_json_is_decided_as_serde_json_does() {
    each_text(|json| {
        let json = format!("{{\"a\":{json}}}");
        let expected = serde_json::from_str::<IgnoredAny>(&json).is_ok();
        assert_eq!(fields(&json).is_ok(), expected, "{json}");
        expected
    });
}

/// Moves through a value, entering all objects and arrays in it.
fn enter_all(scanner: &mut Scanner<'_>) -> Result<(), Problem> {
    match scanner.peek() {
        b'{' => {
            scanner.enter()?;
            while scanner.name()?.is_some() {
                enter_all(scanner)?;
            }
        }
        b'[' => {
            scanner.enter_array()?;
            while scanner.element()? {
                enter_all(scanner)?;
            }
        }
        _ => drop(scanner.value()?),
    }
    Ok(())
}

#[test]
fn what_is_entered_is_json_as_what_is_stepped_over() {
    each_text(|json| {
        let mut scanner = Scanner::new(json);
        let entered = enter_all(&mut scanner).and_then(|()| scanner.end());
        let mut scanner = Scanner::new(json);
        let skipped = scanner.skip(&mut meter(0)).and_then(|()| scanner.end());
        let is_json = serde_json::from_str::<IgnoredAny>(json).is_ok();
        assert_eq!((entered.is_ok(), skipped.is_ok()), (is_json, is_json));
        is_json
    });
}

#[test]
fn a_copy_walks_on_by_itself() {
    let mut scanner = Scanner::new("[{\"a\":[1]},2]");
    scanner.enter_array().unwrap();
    assert_eq!(scanner.element(), Ok(true));
    let mut copy = scanner.clone();
    assert_eq!(copy.value(), Ok(Scanned::Other("{\"a\":[1]}")));
    enter_all(&mut scanner).unwrap();
    for mut scanner in [scanner, copy] {
        assert_eq!(scanner.element(), Ok(true));
        assert_eq!(scanner.value(), Ok(Scanned::Number("2")));
        assert_eq!((scanner.element(), scanner.end()), (Ok(false), Ok(())));
    }
}

#[test]
fn what_is_skipped_may_be_as_deep_as_there_is_memory() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        for depth in [1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200, 100_000] {
            let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let mut meter = meter(100_000);
            let mut scanner = Scanner::new(&nested);
            let skipped = scanner.skip(&mut meter);
            assert_eq!((skipped, scanner.end()), (Ok(()), Ok(())), "{depth}");
            assert_eq!(meter.charged(), 0);
            // An object that ends as an array, or the other way round.
            let wrong = if close.starts_with(']') { "1}" } else { "1]" };
            let wrong = nested.replacen('1', wrong, 1);
            assert!(Scanner::new(&wrong).skip(&mut meter).is_err());
        }
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut meter = meter(20_000);
    assert!(Scanner::new(&deep).skip(&mut meter).is_err());
    assert!(meter.is_stopped());
}
