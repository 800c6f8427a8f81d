//! Finds out which field of a JSON text an error is about, because serde's errors
//! only have a line and a column.

/// What encloses a place in a JSON text.
enum Step {
    /// An object, and the name of the member after whose colon the place is.
    Object(Option<String>),
    /// An array, and how many items come before.
    Array(usize),
}

/// The path of the value at a line and a column, both counted from 1, like
/// `config.headers.accept`. At the end of an object that is the last member, or the
/// object itself if the error is about the `whole` of it.
pub(crate) fn path(text: &str, (line, column): (usize, usize), whole: bool) -> String {
    let before = text.split_inclusive('\n').take(line.saturating_sub(1));
    let end = before.map(str::len).sum::<usize>() + column;
    let steps = steps(text, end.min(text.len()), whole);
    let mut path = "config".to_owned();
    for step in steps {
        match step {
            Step::Object(Some(name)) => {
                path.push('.');
                path.push_str(&name);
            }
            Step::Object(None) => {}
            Step::Array(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

/// Reads the tokens before `end`. A comma or a bracket that ends there still
/// belongs to the value before it.
fn steps(text: &str, end: usize, whole: bool) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut name = "";
    let mut rest = text.char_indices();
    while let Some((place, character)) = rest.next() {
        if place >= end {
            break;
        }
        let is_last = place + character.len_utf8() >= end;
        match character {
            '"' => name = string(&mut rest),
            '{' => steps.push(Step::Object(None)),
            '[' => steps.push(Step::Array(0)),
            ':' => {
                if let Some(Step::Object(member)) = steps.last_mut() {
                    *member = Some(name.to_owned());
                }
            }
            ',' if !is_last => match steps.last_mut() {
                Some(Step::Object(member)) => *member = None,
                Some(Step::Array(index)) => *index += 1,
                None => {}
            },
            '}' | ']' if is_last => {
                if let (true, Some(Step::Object(member))) = (whole, steps.last_mut()) {
                    *member = None;
                }
            }
            '}' | ']' => {
                steps.pop();
            }
            _ => {}
        }
    }
    steps
}

/// The rest of a string, as it is written.
fn string<'a>(rest: &mut std::str::CharIndices<'a>) -> &'a str {
    let text = rest.as_str();
    let mut is_escaped = false;
    let mut length = 0;
    for (_, character) in rest.by_ref() {
        if character == '"' && !is_escaped {
            break;
        }
        is_escaped = character == '\\' && !is_escaped;
        length += character.len_utf8();
    }
    text.get(..length).unwrap_or_default()
}
