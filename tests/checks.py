"""Every check and every test, in the order in which a mistake is cheapest: what CI runs.

`python tests/checks.py --quick` leaves out the tests that start whole processes or a browser.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What starts whole processes or a browser has the machine to itself: it is about seconds.
WHOLE = "system or browser"
STEPS = (
    ("format", ["-m", "ruff", "format", "--check", "."]),
    ("lint", ["-m", "ruff", "check", "."]),
    ("types", ["-m", "mypy"]),
    ("imports", ["-c", "import sys; from importlinter.cli import lint_imports_command as c; c()"]),
    ("tests", ["-m", "pytest", "-q", "-n", "auto", "--maxprocesses", "4", "-m", f"not ({WHOLE})"]),
    ("system", ["-m", "pytest", "-q", "-m", WHOLE]),
)


def main(arguments: list[str]) -> int:
    """Run all steps, also after a failed one; return 1 if any failed."""
    failed = []
    for name, command in STEPS:
        if name == "system" and "--quick" in arguments:
            continue
        print(f"== {name}", flush=True)
        began = time.monotonic()
        code = subprocess.call([sys.executable, *command], cwd=ROOT)
        print(f"== {name}: {'ok' if code == 0 else 'FAILED'} {time.monotonic() - began:.0f} s")
        if code:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
