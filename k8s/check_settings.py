"""Compares the names in settings.toml with the flags that the built programs name in their --help.

check_settings.py DIR          the folder of the program

For the command only what the jobs use is in settings.toml, and all of that must exist; for the two services the lists
must be the same.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

SERVICES = {"windlass-scheduler": "scheduler", "windlass-executor": "executor"}


def compare(program, name, known):
    """What differs between the flags of the command or of a service and the names that are known."""
    command = [program, SERVICES[name]] if name in SERVICES else [program]
    said = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    taken = set(re.findall(r"^\s+(?:-\w, )?--([a-z][a-z-]*)", said, re.MULTILINE)) - {"help", "version"}
    yield from (f"{name} has no --{flag}, which settings.toml names" for flag in sorted(known - taken))
    if name in SERVICES:
        yield from (f"{name} has --{flag}, which settings.toml lacks" for flag in sorted(taken - known))


def main():
    folder = Path(sys.argv[1])
    catalogue = tomllib.loads((Path(__file__).resolve().parent / "settings.toml").read_text())
    problems = [p for name in ("windlass", *SERVICES) for p in compare(folder / "windlass", name, set(catalogue[name]["settings"]))]
    print("\n".join(problems) or "settings.toml names what the programs take")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
