//! The list of the page's files.

pub(super) const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// A file as it is in the repository.
#[derive(Clone, Copy, Debug)]
pub(super) struct File {
    /// Its path below the page's.
    pub(super) name: &'static str,
    pub(super) content_type: &'static str,
    pub(super) bytes: &'static [u8],
}

macro_rules! file {
    ($name:literal, $content_type:expr) => {
        File {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("assets/", $name)),
        }
    };
}

pub(super) const FILES: &[File] = &[
    file!("index.html", HTML),
    file!("style.css", STYLE),
    file!("icon.svg", IMAGE),
    file!("app.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("charts.js", SCRIPT),
    file!("dialog.js", SCRIPT),
    file!("diff.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("history.js", SCRIPT),
    file!("place.js", SCRIPT),
    file!("problems.js", SCRIPT),
    file!("theme.js", SCRIPT),
    file!("vendor/uplot.css", STYLE),
    file!("vendor/uplot.js", SCRIPT),
    file!("vendor/uplot-license.txt", TEXT),
    file!("views/cluster.js", SCRIPT),
    file!("views/flow.js", SCRIPT),
    file!("views/letters.js", SCRIPT),
    file!("views/plugins.js", SCRIPT),
    file!("views/streams.js", SCRIPT),
    file!("views/tail.js", SCRIPT),
    file!("views/timeline.js", SCRIPT),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn add(folder: &Path, prefix: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
            match path.is_dir() {
                true => add(&path, &format!("{name}/"), found),
                false => found.push(name),
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/ui/assets");
        let mut found = Vec::new();
        add(&folder, "", &mut found);
        found.sort();
        let mut listed: Vec<_> = FILES.iter().map(|file| file.name).collect();
        listed.sort_unstable();
        assert_eq!(listed, found);
    }

    #[test]
    fn nothing_is_inline_and_nothing_is_elsewhere() {
        let own = FILES
            .iter()
            .filter(|file| !file.name.starts_with("vendor/"));
        for file in own {
            let text = str::from_utf8(file.bytes).unwrap();
            for forbidden in [
                "style=\"",
                "<style",
                "onclick=",
                "innerHTML",
                "eval(",
                "src=\"http",
            ] {
                assert!(!text.contains(forbidden), "{}: {forbidden}", file.name);
            }
            let elsewhere = text.matches("http://").count() + text.matches("https://").count();
            let namespaces = text.matches("http://www.w3.org/2000/svg").count();
            assert_eq!(elsewhere, namespaces, "{}", file.name);
        }
    }
}
