//! Text of rule files: lines of places, and the one thing that is read more kindly than Cedar does.

/// The line of a byte, from 1.
pub(crate) fn line(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    before.filter(|byte| **byte == b'\n').count() + 1
}

/// Acts whose action is a group with one action for each function.
const GROUPS: [&str; 3] = ["\"Call\"", "\"Approve\"", "\"Replay\""];

/// `action == Action::"Call"` means every call; in Cedar's terms that is `action in Action::"Call"`, and as it stands it would never match: a
/// `forbid` would silently forbid nothing. So `==` becomes `in` there. Both have two bytes, and every place stays where it is.
pub(crate) fn groups_as_groups(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = end_of_text(&bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += bytes[at..].iter().take_while(|byte| **byte != b'\n').count();
            }
            b'=' if bytes.get(at + 1) == Some(&b'=') => {
                if is_group(&text[..at], &text[at + 2..]) {
                    bytes[at..at + 2].copy_from_slice(b"in");
                }
                at += 2;
            }
            _ => at += 1,
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Whether `action` stands before the sign and one of the groups behind it, each set apart so that a word can take its place.
fn is_group(before: &str, after: &str) -> bool {
    let name = before.trim_end();
    let action = name
        .strip_suffix("action")
        .is_some_and(|rest| !rest.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.'));
    let set_apart = name.len() < before.len() && after.starts_with(char::is_whitespace);
    let named = after.trim_start().strip_prefix("Action::");
    action && set_apart && named.is_some_and(|named| GROUPS.iter().any(|group| named.starts_with(group)))
}

fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_an_act_is_meant_with_all_that_is_in_it() {
        let cases = [
            (r#"(principal, action == Action::"Call", resource)"#, true),
            ("action\n== Action::\"Replay\"", true),
            (r#"action == Action::"Call:a.b""#, false),
            (r#"action == Action::"Deploy""#, false),
            (r#"// action == Action::"Call""#, false),
            (r#""action == Action::\"Call\"""#, false),
            (r#"context.action == Action::"Call""#, false),
            (r#"reaction == Action::"Call""#, false),
            (r#"action==Action::"Call""#, false),
        ];
        for (text, changes) in cases {
            let read = groups_as_groups(text);
            assert_eq!(read.len(), text.len());
            assert_eq!(read != text, changes, "{text}");
            assert_eq!(
                read.contains("action in") || read.contains("action\nin"),
                changes,
                "{text}"
            );
        }
    }

    #[test]
    fn lines_count_from_one() {
        assert_eq!((line("a\nb", 0), line("a\nb", 2), line("", 9)), (1, 2, 1));
    }
}
