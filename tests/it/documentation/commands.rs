//! Blocks of commands, taken apart as far as is needed to leave some of them out.

use super::elsewhere;

/// The commands of a block.
pub(super) struct Commands {
    /// Those that are run, as a script.
    pub(super) script: String,
    /// Those that are not, with their entries in the table.
    pub(super) elsewhere: Vec<(String, usize)>,
}

impl Commands {
    /// The commands of a block of a page.
    pub(super) fn of(page: &str, text: &str) -> Self {
        let mut commands = Self { script: String::new(), elsewhere: Vec::new() };
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let mut line = line.to_owned();
            while line.ends_with('\\') {
                let Some(next) = lines.next() else { break };
                line = format!("{line}\n{next}");
            }
            // What a command reads belongs to it, whatever it looks like.
            let mut document = String::new();
            if let Some(end) = document_end(&line) {
                for line in lines.by_ref() {
                    document.push_str(&format!("{line}\n"));
                    if line == end {
                        break;
                    }
                }
            }
            let kept: Vec<&str> = line.split(" && ").filter(|command| !commands.leaves_out(page, command)).collect();
            if !kept.is_empty() {
                commands.script.push_str(&format!("{}\n{document}", kept.join(" && ")));
            }
        }
        commands
    }

    fn leaves_out(&mut self, page: &str, command: &str) -> bool {
        let Some(index) = elsewhere::find(page, command) else { return false };
        self.elsewhere.push((command.trim().to_owned(), index));
        elsewhere::ELSEWHERE[index].is_left_out()
    }
}

/// The line that ends the document that begins after a line: `cat > file <<'EOF'`.
fn document_end(line: &str) -> Option<String> {
    let (_, word) = line.split_once("<<")?;
    let word = word.split_whitespace().next()?;
    Some(word.trim_matches(['\'', '"']).to_owned())
}

#[test]
fn commands_that_are_not_run_are_left_out() {
    let text = "make demo  # builds\ncat > f <<'EOF'\nmake demo\nEOF\nwindlass init x && make test && cd x\nB=c docker build \\\n  .\nls\n";
    let commands = Commands::of("README.md", text);
    assert_eq!(commands.script, "cat > f <<'EOF'\nmake demo\nEOF\nwindlass init x && cd x\nls\n");
    let elsewhere: Vec<&str> = commands.elsewhere.iter().map(|(command, _)| command.as_str()).collect();
    assert_eq!(elsewhere, ["make demo  # builds", "make test", "B=c docker build \\\n  ."]);
}
