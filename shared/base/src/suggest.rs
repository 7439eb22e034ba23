//! The nearest valid name to a mistyped one.

/// The names that are close to `word`, each with its distance: how many letters have to be changed.
pub fn close<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<(usize, &'n str)> {
    let lower = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    let distances = names.into_iter().map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name));
    distances.filter(|(distance, _)| *distance <= allowed).collect()
}

/// The most similar of `names`, if any is close to `word`.
pub fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    close(word, names).into_iter().min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// "did you mean `x`?" for the nearest name, else the list of names, else nothing.
pub fn did_you_mean<'n>(word: &str, what: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let names: Vec<&str> = names.into_iter().collect();
    if let Some(name) = nearest(word, names.iter().copied()) {
        return Some(format!("did you mean `{name}`?"));
    }
    (!names.is_empty()).then(|| format!("{what}: {}", listed(&names)))
}

/// The names in backticks, the first sixteen of them.
pub fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 16;
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
