//! The operator's folder of rules.

use crate::rules::{RuleFile, finding};
use fusebox_engine::ports::authorizer::RuleFinding;
use std::io::ErrorKind;
use std::path::Path;

/// Bytes of one file at most: more is a mistake, and would be parsed again and again.
const LONGEST: u64 = 1024 * 1024;

/// Every `*.cedar` of the folder, by name; none when there is no folder.
///
/// # Errors
/// What cannot be read.
pub(crate) fn read(folder: &Path) -> Result<Vec<RuleFile>, Vec<RuleFinding>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(vec![unreadable(folder, &error)]),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| vec![unreadable(folder, &error)])?.path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut findings = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        match file(&path) {
            Ok(file) => files.push(file),
            Err(error) => findings.push(unreadable(&path, &error)),
        }
    }
    if findings.is_empty() { Ok(files) } else { Err(findings) }
}

fn file(path: &Path) -> std::io::Result<RuleFile> {
    let length = std::fs::metadata(path)?.len();
    if length > LONGEST {
        return Err(std::io::Error::other(format!(
            "it has {length} bytes, and {LONGEST} is the most"
        )));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(RuleFile {
        name: name.unwrap_or_default(),
        text: std::fs::read_to_string(path)?,
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> RuleFinding {
    let help = "make it readable to whoever runs Fusebox, or take it away".to_owned();
    finding(
        &path.display().to_string(),
        1,
        format!("it cannot be read: {error}"),
        Some(help),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn rule_files_are_read_by_name_and_others_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(&folder.path().join("none")).unwrap(), []);
        for name in ["b.cedar", "a.cedar", "readme.md"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let names: Vec<_> = read(folder.path()).unwrap().into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["a.cedar", "b.cedar"]);
        std::fs::write(folder.path().join("c.cedar"), [0xff]).unwrap();
        let findings = read(folder.path()).unwrap_err();
        assert!(findings[0].place.contains("c.cedar"), "{findings:?}");
    }
}
