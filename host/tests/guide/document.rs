//! The blocks of a walkthrough, and the comparison of their output.

/// A block of commands from the document.
#[derive(Debug)]
pub(crate) struct Block {
    /// The number of its first line in the document.
    pub(crate) line: usize,
    pub(crate) commands: String,
    pub(crate) fails: bool,
    pub(crate) expected: Option<String>,
}

/// The blocks that are run, in order.
pub(crate) fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = document.lines().enumerate();
    // Whether a `text` block that starts here is the output of the last block.
    let mut is_output = false;
    while let Some((number, line)) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            is_output &= line.is_empty();
            continue;
        };
        let inside = lines.by_ref().map(|(_, line)| line);
        let text: String = inside
            .take_while(|line| *line != "```")
            .map(|line| format!("{line}\n"))
            .collect();
        let is_run = matches!(kind, "sh" | "sh fails");
        if is_run {
            blocks.push(Block {
                line: number + 1,
                commands: text,
                fails: kind == "sh fails",
                expected: None,
            });
        } else if kind == "text" && is_output {
            blocks.last_mut().unwrap().expected = Some(text);
        }
        is_output = is_run;
    }
    blocks
}

/// The first part of the expected text that is missing from the output.
pub(crate) fn missing(output: &str, expected: &str) -> Option<String> {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (output, expected) = (squeeze(output), squeeze(expected));
    let mut rest = output.as_str();
    for part in expected.split('…').map(str::trim) {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return Some(part.to_owned()),
        }
    }
    None
}
