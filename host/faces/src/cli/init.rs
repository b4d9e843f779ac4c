//! `fusebox init`: makes the folder of a tool that builds, deploys and runs as it is.

mod templates;

use super::{Context, Failed};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::fs;
use std::io;
use std::path::Path;
use templates::{TemplateFile, files};

/// The tool that is made.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox init words --lang python
  fusebox init words --lang js
  fusebox init words --lang rust

It makes the folder NAME with an interface, a source that implements it, and a manifest: a tool that builds, deploys and runs, to be \
changed into yours.")]
pub(super) struct Arguments {
    /// Name of the tool, and of the folder that is made for it: lower-case words joined by `-`
    name: String,
    /// The language of its source
    #[arg(long, value_name = "LANG")]
    lang: Language,
}

/// A language that there is a template of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// Compiled by componentize-py; needs python3 with venv.
    #[value(alias = "py")]
    Python,
    /// Compiled by componentize-qjs; needs node and npm.
    #[value(alias = "javascript")]
    Js,
    /// Compiled by cargo; needs the target wasm32-wasip2.
    #[value(alias = "rs")]
    Rust,
}

/// Words that mean something in WIT or Rust, where the name of a tool becomes the name of a package.
const RESERVED: &[&str] = &[
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "bool",
    "borrow",
    "box",
    "break",
    "char",
    "const",
    "constructor",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "export",
    "extern",
    "f32",
    "f64",
    "false",
    "final",
    "flags",
    "fn",
    "for",
    "from",
    "func",
    "future",
    "gen",
    "if",
    "impl",
    "import",
    "in",
    "include",
    "interface",
    "let",
    "list",
    "loop",
    "macro",
    "map",
    "match",
    "mod",
    "move",
    "mut",
    "option",
    "override",
    "own",
    "package",
    "priv",
    "pub",
    "record",
    "ref",
    "resource",
    "result",
    "return",
    "s16",
    "s32",
    "s64",
    "s8",
    "self",
    "static",
    "stream",
    "string",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "tuple",
    "type",
    "typeof",
    "u16",
    "u32",
    "u64",
    "u8",
    "union",
    "unsafe",
    "unsized",
    "use",
    "variant",
    "virtual",
    "where",
    "while",
    "with",
    "world",
    "yield",
];

/// Runs the command.
///
/// # Errors
/// A name that is none, a folder that is there already, or one that cannot be written.
pub(super) fn run(arguments: &Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let name = named(&arguments.name)?;
    let files = files(&name, arguments.lang);
    let folder = Path::new(&name);
    make(folder, &files)?;
    let next = [
        format!("fusebox build {name}"),
        format!("fusebox deploy {name}"),
        format!("fusebox call {name}.count @{name}/call.json"),
    ];
    if cx.out.json() {
        return Ok(cx.out.value(&json!({
            "tool": name,
            "folder": folder,
            "files": files.iter().map(|file| &file.path).collect::<Vec<_>>(),
            "next": next,
        }))?);
    }
    for file in &files {
        cx.out.line(folder.join(&file.path).display().to_string())?;
    }
    cx.note("next:");
    next.iter().for_each(|line| cx.note(&format!("  {line}")));
    Ok(())
}

/// A name that is right in the manifest and as the name of a package.
fn named(text: &str) -> Result<String, Failed> {
    let name = fusebox_manifest::units::kebab(text).map_err(|problem| Failed::usage(problem.message, problem.help))?;
    let taken = if RESERVED.contains(&name.as_str()) {
        "a word of the languages that it has to stand in"
    } else if name == "fusebox" {
        "the name of the operator's file"
    } else if name
        .split('-')
        .any(|word| word.starts_with(|c: char| c.is_ascii_digit()))
    {
        return Err(Failed::usage(
            format!("a word of `{name}` begins with a digit, which WIT does not allow"),
            format!("write `{}`, or another name", without_digits_first(&name)),
        ));
    } else {
        return Ok(name);
    };
    Err(Failed::usage(
        format!("`{name}` is {taken}"),
        format!("choose another name, such as `my-{name}`"),
    ))
}

/// The name with words that begin with a digit joined to the word before.
fn without_digits_first(name: &str) -> String {
    let mut joined = String::with_capacity(name.len());
    for word in name.split('-') {
        if !joined.is_empty() && !word.starts_with(|c: char| c.is_ascii_digit()) {
            joined.push('-');
        }
        joined.push_str(word);
    }
    joined
}

/// Makes a folder with those files; whole, or not at all.
fn make(folder: &Path, files: &[TemplateFile]) -> Result<(), Failed> {
    fs::create_dir(folder).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failed::file(
            format!("there is a file or folder {} already", folder.display()),
            "choose another name, or remove it; nothing was changed",
        ),
        _ => unwritable(folder, &error),
    })?;
    let written = files.iter().try_for_each(|file| {
        let path = folder.join(&file.path);
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, &file.text))
            .map_err(|error| unwritable(&path, &error))
    });
    if written.is_err()
        && let Err(error) = fs::remove_dir_all(folder)
    {
        tracing::warn!("{} is not whole and cannot be removed: {error}", folder.display());
    }
    written
}

fn unwritable(path: &Path, error: &io::Error) -> Failed {
    Failed::file(
        format!("{} cannot be written: {error}", path.display()),
        "change to a folder that you may write to",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fusebox_manifest::{HostFile, Manifest, Presets};

    const LANGUAGES: [Language; 3] = [Language::Python, Language::Js, Language::Rust];

    #[test]
    fn a_name_has_to_be_right_everywhere_it_will_stand() {
        assert_eq!(named("web-search").unwrap(), "web-search");
        for (name, help) in [
            ("Web_Search", "write `web-search`"),
            ("", "lower-case words"),
            ("../words", "lower-case words"),
            ("type", "my-type"),
            ("fusebox", "my-fusebox"),
            ("word-2-vec", "word2-vec"),
        ] {
            let (message, advice) = named(name).unwrap_err().brief();
            assert!(advice.contains(help), "{name}: {message}; {advice}");
        }
    }

    #[test]
    fn every_manifest_is_right_and_says_how_it_is_built() {
        for language in LANGUAGES {
            let files = files("web-search", language);
            let text = &files.iter().find(|file| file.path == "web-search.toml").unwrap().text;
            let (lowered, findings) = Manifest::read("m.toml", text, &Presets::embedded(), &HostFile::default());
            let lowered = lowered.unwrap_or_else(|| panic!("{language:?}: {findings:?}"));
            assert_eq!((lowered.policy.name.as_str(), findings.len()), ("web-search", 0));
            let build = lowered.build.unwrap();
            assert!(build.help.is_some() && !build.command.contains("&&"), "{build:?}");
        }
    }

    #[test]
    fn nothing_of_a_template_is_left_open() {
        for language in LANGUAGES {
            for file in files("web-search", language) {
                assert!(!file.text.contains("{{"), "{language:?}: {}:\n{}", file.path, file.text);
            }
        }
    }

    #[test]
    fn a_folder_is_made_whole_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("words");
        let file = |path: &str| TemplateFile {
            path: path.to_owned(),
            text: "text".to_owned(),
        };
        make(&folder, &[file("a"), file("b"), file("a/c")]).unwrap_err();
        assert!(!folder.exists());
        make(&folder, &[file("a"), file("b/c")]).unwrap();
        assert_eq!(fs::read_to_string(folder.join("b/c")).unwrap(), "text");
        let (message, _) = make(&folder, &[file("other")]).unwrap_err().brief();
        assert!(message.contains("already"), "{message}");
        assert!(!folder.join("other").exists() && folder.join("a").exists());
    }
}
