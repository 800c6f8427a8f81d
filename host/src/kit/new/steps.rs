//! What to do with the folder of a new sink.

use super::{Name, Template};

/// The commands of the folder's README, which stand in its first block of code.
pub(crate) fn next_steps(template: &Template, name: &Name) -> String {
    let readme = template.readme(name);
    let name = name.as_str();
    let mut steps = format!("made {name}; next:\n\n  cd {name}\n");
    let block = readme.lines().skip_while(|line| *line != "```sh").skip(1);
    for line in block.take_while(|line| *line != "```") {
        steps.push_str("  ");
        steps.push_str(line);
        steps.push('\n');
    }
    steps.push_str("\nThe README of the folder says the same.\n");
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::new::{Kind, Language};

    #[test]
    fn they_lead_from_the_folder_to_a_running_sink() {
        let name: Name = "loki-2".parse().unwrap();
        for (language, kind, built) in [
            (
                Language::Rust,
                Kind::Http,
                "target/wasm32-wasip2/release/loki_2.wasm",
            ),
            (Language::C, Kind::Stdout, "loki-2.wasm"),
        ] {
            let steps = next_steps(&Template::new(language, kind).unwrap(), &name);
            let wanted = [
                "\n  cd loki-2\n".to_owned(),
                format!("\n  sluice plugin check {built}"),
                format!("sluice plugin run {built}"),
                format!("\n  sluice plugin use ./{built} --wait"),
            ];
            let mut rest = steps.as_str();
            for command in &wanted {
                let found = rest.split_once(command.as_str());
                assert!(found.is_some(), "{command} is not in {steps}");
                rest = found.unwrap().1;
            }
        }
    }
}
