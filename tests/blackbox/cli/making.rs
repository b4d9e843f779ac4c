//! A newcomer's first tool: made by `init`, built by what its manifest says, and named by its folder. Real compilers of Python, JavaScript
//! and Rust build it in `cargo xtask readme`; here a component is copied instead.

use crate::site::{Site, guest};
use serde_json::json;

/// A tool whose build copies a component that is there already.
fn copied(site: &Site, build: &str) {
    std::fs::create_dir(site.path("calculator")).unwrap();
    site.write(
        "calculator/calculator.toml",
        &format!("name = \"calculator\"\ncomponent = \"calculator.wasm\"\n[build]\n{build}\n"),
    );
}

#[test]
fn a_tool_is_made_once_and_says_what_comes_next() {
    let site = Site::new();
    let made = site
        .fusebox(&["init", "words", "--lang", "python"])
        .exits(0)
        .says("fusebox build words")
        .says("fusebox deploy words");
    for file in made.stdout.lines() {
        assert!(site.path(file).is_file(), "{file}");
    }
    assert_eq!(made.stdout.lines().next(), Some("words/words.toml"));

    let before = site.read("words/app.py");
    site.fusebox(&["init", "words", "--lang", "rust"])
        .exits(64)
        .says("already");
    assert_eq!(site.read("words/app.py"), before);
    site.fusebox(&["init", "Words_2", "--lang", "rust"])
        .exits(64)
        .says("kebab-case");
    site.fusebox(&["init", "../other", "--lang", "rust"]).exits(64);
    site.fusebox(&["init", "other", "--lang", "cobol"])
        .exits(64)
        .says("python");

    // What was made and not built is told what to do, wherever it is named.
    for command in ["check", "deploy"] {
        site.fusebox(&[command, "words"])
            .exits(64)
            .says("fusebox build words/words.toml");
    }
    let made = site
        .fusebox(&["init", "other", "--lang", "js", "--json"])
        .exits(0)
        .json();
    assert_eq!(
        (&made["tool"], &made["next"][0]),
        (&json!("other"), &json!("fusebox build other"))
    );
}

#[test]
fn a_build_runs_in_its_folder_and_is_checked() {
    let site = Site::new();
    let wasm = guest("calculator.wasm");
    copied(
        &site,
        &format!(
            "command = '''\nmkdir out\ncp {} out/c\nmv out/c calculator.wasm\n'''",
            wasm.display()
        ),
    );
    crate::site::compiled("calculator");
    let built = site
        .fusebox(&["build", "calculator"])
        .exits(0)
        .says("$ mkdir out")
        .says("fusebox deploy");
    assert!(
        built.stdout.contains("calculator.evaluate(expression: string)"),
        "{}",
        built.shown()
    );
    site.fusebox(&["deploy", "calculator"]).exits(0);
    site.fusebox(&["call", "calculator.evaluate", r#"{"expression":"6*7"}"#])
        .exits(0);

    // The first command that fails ends it: the folder is there already.
    let again = site
        .fusebox(&["build", "calculator/calculator.toml"])
        .exits(64)
        .says("`mkdir out` failed");
    assert!(!again.stderr.contains("$ cp"), "{}", again.shown());
}

#[test]
fn a_build_has_no_shell_and_no_secrets() {
    let site = Site::new();
    copied(&site, "command = 'touch $HOME ; echo'");
    site.fusebox(&["build", "calculator"]).exits(64);
    assert!(site.path("calculator/$HOME").exists() && site.path("calculator/;").exists());

    site.write(
        "calculator/calculator.toml",
        "name = \"calculator\"\ncomponent = \"calculator.wasm\"\n[build]\ncommand = \"sh -c 'env > seen'\"\n",
    );
    let private = [
        ("FUSEBOX_SECRET_SEARCH_KEY", "private"),
        ("FUSEBOX_KEY", "private"),
        ("MINE", "public"),
    ];
    site.fusebox_with(&private, &["build", "calculator"]).exits(64);
    let seen = site.read("calculator/seen");
    assert!(seen.contains("MINE=public") && !seen.contains("private"), "{seen}");
}

#[test]
fn a_build_that_cannot_be_says_what_it_needs() {
    let site = Site::new();
    copied(
        &site,
        "command = \"no-such-compiler --fast\"\nhelp = \"install the compiler\"",
    );
    site.fusebox(&["build", "calculator"])
        .exits(64)
        .says("there is no program `no-such-compiler`")
        .says("install the compiler");
    site.write(
        "calculator/calculator.toml",
        "name = \"calculator\"\ncomponent = \"calculator.wasm\"\n",
    );
    site.fusebox(&["build", "calculator"]).exits(64).says("[build]");
    site.fusebox(&["build", "home"])
        .exits(64)
        .says("no manifest")
        .says("fusebox init");
    site.fusebox(&["build", "nowhere"]).exits(64).says("no file or folder");
}

#[test]
fn what_a_newcomer_mistypes_is_recognised() {
    let site = Site::new();
    site.fusebox(&["tools"]).exits(0).says("fusebox init");
    site.fusebox(&["call", "words.count", "{}"])
        .exits(16)
        .says("fusebox init");
    site.deploy("calculator");
    site.fusebox(&["call", "calculater.evaluate", "{}"])
        .exits(16)
        .says("did you mean `calculator`?");
    site.fusebox(&["tools", "show", "calculater"])
        .exits(16)
        .says("did you mean `calculator`?");
    site.fusebox(&["call", "calculator.evaluate", "{expression:1+1}"])
        .exits(65)
        .says("single quotes");
    site.fusebox(&["call", "calculator"]).exits(64).says("TOOL.FUNCTION");
}

#[test]
fn every_command_has_a_manual_page() {
    let site = Site::new();
    std::fs::create_dir(site.path("man")).unwrap();
    site.fusebox(&["man", "man"]).exits(0);
    for page in ["fusebox.1", "fusebox-init.1", "fusebox-dlq-replay.1"] {
        assert!(site.read(&format!("man/{page}")).contains(".SH SYNOPSIS"), "{page}");
    }
    site.fusebox(&["man", "nowhere"]).exits(64);
}
