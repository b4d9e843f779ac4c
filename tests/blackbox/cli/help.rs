//! Help that helps: every command says what it does, and shows how it is typed.

use crate::site::Site;
use std::collections::BTreeMap;

/// Commands below that line, as its help lists them.
fn below(site: &Site, command: &[String]) -> Vec<Vec<String>> {
    let mut line: Vec<_> = command.iter().map(String::as_str).collect();
    line.push("--help");
    let text = site.fusebox(&line).exits(0).stdout;
    let Some(list) = text.split("\nCommands:\n").nth(1) else {
        return Vec::new();
    };
    list.lines()
        .take_while(|line| !line.is_empty())
        // A description that does not fit its line is continued further right.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(|name| [command, &[name.to_owned()]].concat())
        .collect()
}

/// Every command, with its help.
fn commands(site: &Site) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut open = below(site, &[]);
    while let Some(command) = open.pop() {
        open.extend(below(site, &command));
        let mut line: Vec<_> = command.iter().map(String::as_str).collect();
        line.push("--help");
        all.insert(command.join(" "), site.fusebox(&line).exits(0).stdout);
    }
    all
}

#[test]
fn every_command_says_what_it_does() {
    let site = Site::new();
    let commands = commands(&site);
    for expected in [
        "try",
        "deploy",
        "call",
        "dlq replay",
        "dlq resolve",
        "dlq redrives cancel",
        "runs resume",
        "approvals approve",
        "serve",
        "breakers reset",
        "policy explain",
        "secrets set",
    ] {
        assert!(commands.contains_key(expected), "{expected}: {:?}", commands.keys());
    }
    for (command, help) in &commands {
        let first = help.lines().next().unwrap();
        assert!(
            first.len() > 10 && !first.starts_with("Usage"),
            "`{command}` has no description:\n{help}"
        );
        assert!(help.contains(&format!("Usage: fusebox {command}")), "{help}");
        let taught = ["dlq", "runs", "approvals", "call", "try", "deploy", "check", "serve"];
        if taught.contains(&command.split(' ').next().unwrap_or_default()) {
            assert!(help.contains("Example"), "`{command}` shows no example:\n{help}");
        }
    }
}

#[test]
fn examples_in_help_are_lines_that_can_be_typed() {
    let site = Site::new();
    for (command, help) in commands(&site) {
        let Some((_, examples)) = help.split_once("Example") else {
            continue;
        };
        for line in examples.lines().filter_map(|line| line.trim().strip_prefix("fusebox ")) {
            let first: Vec<_> = line.split_whitespace().take(command.split(' ').count()).collect();
            assert_eq!(
                first.join(" "),
                command,
                "an example of `{command}` is of another command: {line}"
            );
            let flags = line
                .split_whitespace()
                .filter(|word| word.starts_with("--") && word.len() > 2);
            for flag in flags {
                assert!(
                    help.contains(flag.split('=').next().unwrap()),
                    "`{command}` has no {flag}:\n{help}"
                );
            }
        }
    }
}

#[test]
fn the_help_of_all_lists_exit_codes_that_are_real() {
    let site = Site::deployed(&["calculator"]);
    let help = site.fusebox(&["--help"]).exits(0).stdout;
    let table: BTreeMap<i32, &str> = help
        .split("Exit codes:\n")
        .nth(1)
        .unwrap()
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(code, names)| (code.parse().unwrap(), names.trim()))
        .collect();
    assert_eq!(table[&0], "ok");
    assert_eq!(table[&64], "wrong command line or invalid file");
    for (line, code) in [
        (
            &["call", "calculator.evaluate", r#"{"expression":"1/0"}"#, "--json"][..],
            10,
        ),
        (&["call", "nothing.at-all", "--json"], 16),
        (&["call", "calculator.evaluate", "{}", "--json"], 65),
    ] {
        let ran = site.fusebox(line).exits(code);
        let name = ran.json()["error"]["code"].as_str().unwrap().to_owned();
        assert!(
            table[&code].contains(&name),
            "{code} is `{}`, and {name} ended so",
            table[&code]
        );
    }
    site.fusebox(&["frobnicate"]).exits(64).says("frobnicate");
    site.fusebox(&[]).exits(64);
    site.fusebox(&["--version"]).exits(0);
}

#[test]
fn a_shell_gets_a_script_that_it_takes() {
    let site = Site::new();
    let script = site.fusebox(&["completions", "bash"]).exits(0).stdout;
    site.write("completions.sh", &script);
    let path = site.path("completions.sh");
    let checked = std::process::Command::new("bash")
        .arg("-n")
        .arg(&path)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let asked = format!(
        "source {}; COMP_WORDS=(fusebox dlq rep); COMP_CWORD=2; _fusebox fusebox rep dlq; echo ${{COMPREPLY[@]}}",
        path.display()
    );
    let completed = std::process::Command::new("bash")
        .args(["-c", &asked])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&completed.stdout).trim(), "replay");
    for shell in ["zsh", "fish"] {
        assert!(
            site.fusebox(&["completions", shell]).exits(0).stdout.len() > 1_000,
            "{shell}"
        );
    }
    site.fusebox(&["completions", "dosshell"]).exits(64);
}
