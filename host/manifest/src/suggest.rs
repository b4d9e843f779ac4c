//! "Did you mean": the nearest of the words that would have been right.

/// The candidate nearest to `word`, if one is near enough to be a slip of the fingers.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('_', "-");
    let slips = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&word, &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .filter(|&(distance, _)| distance <= slips)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// What to write instead of `word`: the nearest candidate, or all of them.
pub(crate) fn instead<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(word, candidates.clone()) {
        return format!("did you mean `{near}`?");
    }
    match list(candidates) {
        Some(all) => format!("write one of {all}"),
        None => "leave it out".to_owned(),
    }
}

/// Names in backticks, joined by commas, the first twenty; `None` when there are none.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    let shown = names.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => None,
        1..=20 => Some(shown),
        more => Some(format!("{shown} and {} more", more - 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let words = ["timeout", "retry", "durability"];
        assert_eq!(nearest("timout", words), Some("timeout"));
        assert_eq!(nearest("Retry", words), Some("retry"));
        assert_eq!(nearest("max-response", words), None);
        assert_eq!(nearest("", words), None);
        assert_eq!(instead("x", []), "leave it out");
        assert_eq!(instead("xxxxxxxx", ["a", "b"]), "write one of `a`, `b`");
    }
}
