"""Proves that check.py finds mistakes: plants them into a copy, one at a time, and requires the right complaint.

    check_planted.py [--kubectl PROGRAM] [WORDS …]

The mistakes are in planted.yaml. Each replaces one text that must stand exactly once in its file, so a mistake that no
longer fits is noticed. With words, only the mistakes whose description has all of them are planted.
"""

import argparse
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from check import HERE, check_all


def plant(mistake, kubectl):
    """What check.py fails to do about a mistake, or None if it complains as it should."""
    what, overlay, file, text, instead, complaint = mistake.values()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "k8s"
        shutil.copytree(HERE, root, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(HERE.parent / "docs", Path(scratch) / "docs")
        path = root / file
        content = path.read_text()
        if content.count(text) != 1:
            return f"{what}: cannot be planted: {file} has the text to replace {content.count(text)} times"
        path.write_text(content.replace(text, instead))
        checked = check_all(root, [root / "overlays" / overlay], kubectl)
        problems = [problem for _, _, found in checked for problem in found]
    if not problems:
        return f"{what}: passed"
    if not any(complaint in problem for problem in problems):
        return f"{what}: another complaint than `{complaint}`:\n    " + "\n    ".join(problems)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kubectl", default="kubectl")
    parser.add_argument("words", nargs="*")
    args = parser.parse_args()
    mistakes = yaml.safe_load((HERE / "planted.yaml").read_text())
    chosen = [mistake for mistake in mistakes if all(word in mistake["mistake"] for word in args.words)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        missed = [text for text in pool.map(lambda mistake: plant(mistake, args.kubectl), chosen) if text]
    for text in missed:
        print(f"planted: {text}")
    print(f"planted: {len(chosen) - len(missed)} of {len(chosen)} mistakes are found")
    sys.exit(1 if missed or not chosen else 0)


if __name__ == "__main__":
    main()
