//! Damaged projects: whatever the files contain, parsing gives a graph or problems, never a panic.

use proptest::prelude::*;
use windlass_project::graph::check;
use windlass_project::graph::draw::DrawFormat;
use windlass_project::spec::{ProjectFiles, RenderStyle};

use super::CODE_GRAPH;

/// What happens to the text of one file.
#[derive(Debug, Clone)]
enum Damage {
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, String),
    Remove(prop::sample::Index, usize),
    Swap(prop::sample::Index, prop::sample::Index),
    Replace(String),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    let pieces = prop::sample::select(vec![
        "\t",
        "\n",
        "\r\n",
        ":",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "*/",
        "/*",
        "/* windlass ",
        ";",
        "--",
        "$x",
        "?",
        "&a ",
        "*a",
        "!!int ",
        "|",
        ">",
        "? ",
        "---\n",
        "...",
        "#",
        "\\",
        "\0",
        "\u{feff}",
        "\u{85}",
        "ü",
        "漢",
        "😀",
        "$$",
        "`",
        "(",
        ")",
        "::",
        "0x",
        "1e999",
        "~",
        "%",
        "@",
        " UNION SELECT ",
        " FROM ",
        "'\u{2028}'",
        "E'\\",
    ]);
    prop_oneof![
        index().prop_map(Damage::Cut),
        (index(), pieces).prop_map(|(at, piece)| Damage::Insert(at, piece.to_owned())),
        (index(), any::<String>()).prop_map(|(at, text)| Damage::Insert(at, text)),
        (index(), 1_usize..20).prop_map(|(at, count)| Damage::Remove(at, count)),
        (index(), index()).prop_map(|(one, other)| Damage::Swap(one, other)),
        any::<String>().prop_map(Damage::Replace),
    ]
}

fn apply(text: &str, damage: &Damage) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let place = |index: &prop::sample::Index| index.index(chars.len() + 1);
    match damage {
        Damage::Cut(at) => chars.truncate(place(at)),
        Damage::Insert(at, piece) => {
            let at = place(at);
            chars.splice(at..at, piece.chars());
        }
        Damage::Remove(at, count) => {
            let at = place(at);
            chars.drain(at..(at + count).min(chars.len()));
        }
        Damage::Swap(one, other) if !chars.is_empty() => {
            chars.swap(one.index(text.chars().count()), other.index(text.chars().count()))
        }
        Damage::Swap(..) => {}
        Damage::Replace(piece) => chars = piece.chars().collect(),
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_never_panics(all in prop::collection::vec((0..CODE_GRAPH.len(), damage()), 1..4)) {
        let mut texts: Vec<String> = CODE_GRAPH.iter().map(|(_, text)| (*text).to_owned()).collect();
        for (file, damage) in &all {
            texts[*file] = apply(&texts[*file], damage);
        }
        let files: ProjectFiles = CODE_GRAPH.iter().map(|(path, _)| *path).zip(&texts).collect();
        match check(&files) {
            Ok(graph) => {
                graph.draw(DrawFormat::Svg, None);
            }
            Err(problems) => {
                problems.render(RenderStyle::default());
                for report in problems.reports() {
                    let Some(file) = &report.file else { continue };
                    let text = files.get(file).expect("a file of the project");
                    let lines = text.split('\n').count();
                    prop_assert!(report.line.is_some_and(|line| line <= lines), "{}", report);
                }
            }
        }
    }
}
