use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::*;

const ALL: [(Language, Kind); 7] = [
    (Language::Rust, Kind::Stdout),
    (Language::Rust, Kind::Http),
    (Language::Python, Kind::Stdout),
    (Language::Python, Kind::Http),
    (Language::JavaScript, Kind::Stdout),
    (Language::JavaScript, Kind::Http),
    (Language::C, Kind::Stdout),
];

fn name() -> Name {
    "loki-2".parse().unwrap()
}

/// The files below a folder: their paths in it, and their contents.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            let inside = content(&path).into_iter();
            found.extend(inside.map(|(path, content)| (name.join(path), content)));
        } else {
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn each_folder_is_complete_and_has_the_name() {
    for (language, kind) in ALL {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("loki-2");
        let template = Template::new(language, kind).unwrap();
        template.write(&name(), &folder).unwrap();

        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(readme.starts_with("# loki-2\n"), "{readme}");
        assert!(folder.join(".gitignore").is_file());
        let files = content(&folder);
        let wit = include_bytes!("../../../../../wit/0.2/sink.wit");
        assert!(files.values().any(|content| content == wit));
        for (path, content) in &files {
            let text = String::from_utf8_lossy(content);
            assert!(
                !text.contains("my-sink") && !text.contains("my_sink"),
                "{path:?}"
            );
        }
        let again = place.path().join("again");
        template.write(&name(), &again).unwrap();
        assert!(content(&again) == files, "{language:?} {kind:?}");
    }
}

#[test]
fn every_file_of_the_templates_is_used() {
    let parts = ALL
        .iter()
        .flat_map(|(language, kind)| parts(*language, *kind).unwrap());
    let from: Vec<&str> = parts.map(|(from, _)| from).collect();
    let unused: Vec<_> = embedded::FILES
        .iter()
        .filter(|(path, _)| !from.iter().any(|from| path.starts_with(from)))
        .map(|(path, _)| path)
        .collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn the_program_has_the_files_of_the_repository() {
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kit/templates");
    let there: BTreeSet<String> = content(&templates)
        .into_keys()
        .map(|path| path.into_os_string().into_string().unwrap())
        .collect();
    let embedded: BTreeSet<String> = embedded::FILES
        .iter()
        .map(|(path, _)| (*path).to_owned())
        .filter(|path| path != "sink.wit" && !path.starts_with("sluice-sink/"))
        .collect();
    assert_eq!(embedded, there);
    for file in [
        "sluice-sink/Cargo.toml",
        "sluice-sink/src/lib.rs",
        "sluice-sink/wit/sink.wit",
    ] {
        assert!(
            embedded::FILES.iter().any(|(path, _)| *path == file),
            "{file}"
        );
    }
}

#[test]
fn a_folder_with_files_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let template = Template::new(Language::Python, Kind::Stdout).unwrap();
    template.write(&name(), place.path()).unwrap();
    fs::write(place.path().join("app.py"), "mine").unwrap();
    let refused = template.write(&name(), place.path()).unwrap_err();
    assert!(matches!(refused, NewError::NotEmpty(_)), "{refused}");
    let file = place.path().join("app.py");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let refused = template.write(&name(), &file).unwrap_err();
    assert!(matches!(refused, NewError::NoFolder(_)), "{refused}");
}

#[test]
fn c_has_no_http() {
    let refused = Template::new(Language::C, Kind::Http)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("--lang rust, python or js"), "{refused}");
}
