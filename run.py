#!/usr/bin/env python3
"""The two commands of the README, with nothing but Python 3.11+ and pip.

    python3 run.py up --demo      set up, then `danhao up --demo` (any danhao command works)
    python3 run.py test           set up, then every check and every test

Sets up a virtual environment (the active one, else .venv beside this file) from the hashed lock
files in requirements/, builds the page, and does nothing a second time that is done already.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST = (3, 11)
# What the page and the installation depend on; code needs no reinstallation, it is used in place.
SOURCES = ("pyproject.toml", "hatch_build.py", "danhao.py", "requirements", "api/web")
NOT_SOURCES = {"node_modules", "static", "__pycache__"}


def main(arguments: list[str]) -> int:
    """Set up what the command needs, then run it; return its exit code."""
    if sys.version_info < OLDEST:
        found = sys.version.split()[0]
        print(f"danhao needs Python 3.11 or newer; this is {found}", file=sys.stderr)
        return 2
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(__doc__)
        return 0 if arguments else 2
    testing = arguments[0] == "test"
    python = environment()
    install(python, "dev" if testing else "all")
    if testing:
        return subprocess.call([str(python), "tests/checks.py", *arguments[1:]], cwd=ROOT)
    command = [str(python), "-m", "danhao", *arguments]
    os.chdir(ROOT)
    # The program gets our place, its signals and its exit code: this call does not return.
    return os.execv(command[0], command)


def environment() -> Path:
    """Return the Python of the environment to use, made where there is none."""
    if sys.prefix != sys.base_prefix:
        return Path(sys.executable)
    folder = ROOT / ".venv"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        print(f"making {folder.name} ...", file=sys.stderr, flush=True)
        try:
            venv.create(folder, with_pip=True, symlinks=os.name != "nt")
        except (subprocess.CalledProcessError, ImportError, SystemExit):
            # Debian keeps ensurepip in a package of its own; the pip at hand can serve the folder.
            venv.create(folder, with_pip=False, clear=True, symlinks=os.name != "nt")
            run([sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "pip"])
    return python


def install(python: Path, extra: str) -> None:
    """Install the locked packages and this checkout into the environment, once per change."""
    stamp = python.parent.parent / f"danhao-{extra}.stamp"
    digest = source_digest()
    if stamp.exists() and stamp.read_text("utf-8") == digest:
        return
    print("installing locked packages ...", file=sys.stderr, flush=True)
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", str(ROOT / "requirements" / f"{extra}.txt")])
    print("building the page ...", file=sys.stderr, flush=True)
    constraint = str(ROOT / "requirements" / "build.txt")
    pinned = {"PIP_CONSTRAINT": constraint, "PIP_BUILD_CONSTRAINT": constraint}
    run([*pip, "--no-deps", "-e", str(ROOT)], os.environ | pinned)
    stamp.write_text(digest, "utf-8")


def source_digest() -> str:
    """Return a digest of all that the installation depends on."""
    digest = hashlib.sha256(sys.version.encode())
    for name in SOURCES:
        top = ROOT / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and not NOT_SOURCES.intersection(path.relative_to(ROOT).parts):
                digest.update(path.relative_to(ROOT).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def run(command: list[str], env: dict[str, str] | None = None) -> None:
    """Run a step of the set-up; stop here with its exit code where it fails."""
    code = subprocess.call(command, env=env, cwd=ROOT)
    if code:
        print(f"this step failed with exit code {code}: {' '.join(command)}", file=sys.stderr)
        raise SystemExit(2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
