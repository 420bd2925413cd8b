"""Promises of the embedded PostgreSQL, kept with the real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from core import errors
from deploy import parentdeath, placement, postgres
from tests.deploy import helpers

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another account")


@pytest.fixture
def folder() -> Iterator[Path]:
    with helpers.passable_folder() as path:
        yield path


def first_value(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as link:
        row = link.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def test_it_works_under_a_chinese_locale_with_checksums_scram_and_utf8(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    server = helpers.small_server(folder)
    with server.running() as dsn:
        settings = [
            first_value(dsn, f"SHOW {name}")
            for name in ("data_checksums", "server_encoding", "timezone", "lc_messages")
        ]
        assert settings == ["on", "UTF8", "UTC", "C"]
        assert first_value(dsn, "SELECT '单耗' || current_database()") == "单耗danhao"
        wrong = dsn.replace(dsn.split("@")[0].rpartition(":")[2], "wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        rules = first_value(
            dsn, "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules"
        )
        assert rules == "scram-sha-256"


def test_a_second_start_keeps_the_port_the_password_and_the_rows(folder: Path) -> None:
    with helpers.small_server(folder).running() as dsn, psycopg.connect(dsn) as link:
        link.execute("CREATE TABLE kept AS SELECT 7 AS value")
        link.commit()
    with helpers.small_server(folder).running() as again:
        assert again == dsn
        assert first_value(again, "SELECT value FROM kept") == 7


def test_the_password_is_readable_by_its_owner_only_and_on_no_command_line(folder: Path) -> None:
    server = helpers.small_server(folder)
    server.prepare()
    password = (folder / "postgres" / "password").read_text().strip()
    assert (folder / "postgres" / "password").stat().st_mode & 0o777 == 0o600
    assert password in server.dsn
    assert not any(password in word for word in server.command())
    assert not list(folder.rglob(".password-*"))
    assert server.place.cluster.stat().st_mode & 0o777 == 0o700


def test_rows_survive_a_kill_of_the_server_and_of_a_start_right_after_it(folder: Path) -> None:
    server = helpers.small_server(folder)
    server.prepare()
    pid = server.start()
    with psycopg.connect(server.dsn) as link:
        link.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS value")
        link.commit()
    os.kill(pid, signal.SIGKILL)
    again = helpers.small_server(folder)
    with again.running() as dsn:
        assert first_value(dsn, "SELECT sum(value) FROM kept") == 500_500
    server.stop()


@pytest.mark.parametrize("names", ["a stranger", "nobody"])
def test_a_stale_pid_file_does_not_stop_a_start(folder: Path, names: str) -> None:
    server = helpers.small_server(folder)
    server.prepare()
    with ExitStack() as stack:
        # A process of the server's own account: PostgreSQL alone would take it for a server.
        user = server.place.user
        arguments = {} if user is None else {"user": user.uid, "group": user.gid}
        stranger = subprocess.Popen(["sleep", "600"], **arguments)  # type: ignore[call-overload] # one of two forms
        stack.callback(stranger.wait)
        stack.callback(stranger.kill)
        if names == "nobody":  # killed and not collected: a zombie, as under a careless process 1
            stranger.kill()
            helpers.wait_until(lambda: not helpers.is_alive(stranger.pid), 5, "the kill")
        lines = [stranger.pid, server.place.cluster, 0, server.port, "", "127.0.0.1", "0", "ready"]
        stale = server.place.cluster / "postmaster.pid"
        stale.write_text("\n".join(map(str, lines)) + "\n")
        if user is not None:
            os.chown(stale, user.uid, user.gid)
        assert not server.is_ready(os.getpid())
        with server.running() as dsn:
            assert first_value(dsn, "SELECT 1") == 1
        assert names == "nobody" or stranger.poll() is None


def test_an_orphaned_server_is_stopped_before_a_new_one_starts(folder: Path) -> None:
    orphan = helpers.small_server(folder)
    orphan.prepare()
    pid = orphan.start()
    with helpers.small_server(folder).running() as dsn:
        assert not helpers.is_alive(pid)
        assert first_value(dsn, "SELECT 1") == 1
    orphan.stop()


def test_an_interrupted_creation_is_begun_anew(folder: Path) -> None:
    server = helpers.small_server(folder)
    server.prepare()
    half = server.place.cluster.with_name("cluster.new")
    server.place.cluster.rename(half)
    (half / "PG_VERSION").unlink()
    with helpers.small_server(folder).running() as dsn:
        assert first_value(dsn, "SELECT 1") == 1


def test_a_wrong_password_file_is_named_and_not_waited_for(folder: Path) -> None:
    server = helpers.small_server(folder)
    server.prepare()
    (folder / "postgres" / "password").write_text("wrong\n")
    again = helpers.small_server(folder)
    again.prepare()
    with pytest.raises(errors.Misconfigured, match=r"password .* restore the file"):
        again.start()
    again.stop()


def test_a_start_that_fails_quotes_the_log(folder: Path) -> None:
    server = postgres.EmbeddedPostgres(
        folder / "postgres",
        parentdeath.unprivileged_user(),
        settings={"shared_buffers": "many"},
        system_folder=folder / "system",
    )
    server.prepare()
    with pytest.raises(errors.Retryable, match=r"did not start: .*shared_buffers"):
        server.start(within_s=0.5)


def test_an_ordinary_user_runs_it_in_his_own_folder() -> None:
    with helpers.passable_folder() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.deploy.programs", "lifecycle", str(folder)],
            cwd=helpers.ROOT,
            env=helpers.environment(LANG="zh_CN.UTF-8"),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        said = json.loads(done.stdout)
        assert said["row"] == [7]
        assert said["uid"] != 0
        assert Path(said["cluster"]) == folder / "postgres" / "cluster"


@needs_root
def test_root_opens_up_no_folder_and_puts_the_cluster_where_the_account_can_pass() -> None:
    with helpers.passable_folder() as folder:
        closed = folder / "home" / "share"
        closed.mkdir(parents=True)
        (folder / "home").chmod(0o700)
        before = {path: path.stat() for path in (closed, *closed.parents)}
        server = postgres.EmbeddedPostgres(
            closed / "postgres",
            parentdeath.unprivileged_user(),
            settings={"shared_buffers": "16MB"},
            system_folder=folder / "system",
        )
        with server.running() as dsn:
            assert first_value(dsn, "SELECT 1") == 1
        assert server.place.cluster.is_relative_to(folder / "system")
        assert server.place.cluster.stat().st_mode & 0o777 == 0o700
        assert server.place.cluster.parent.stat().st_mode & 0o777 == 0o711
        assert server.place.cluster.parent.stat().st_uid == 0
        for path, was in before.items():
            now = path.stat()
            assert (now.st_mode, now.st_uid, now.st_gid) == (was.st_mode, was.st_uid, was.st_gid)
        # The place is recorded, so the next start finds the same cluster.
        recorded = placement.find(
            closed / "postgres", parentdeath.unprivileged_user(), folder / "elsewhere"
        )
        assert recorded.cluster == server.place.cluster
        # A new data directory of the same name never meets the cluster of a removed one.
        (closed / "postgres" / "place.json").unlink()
        fresh = placement.find(
            closed / "postgres", parentdeath.unprivileged_user(), folder / "system"
        )
        assert fresh.cluster != server.place.cluster


@needs_root
def test_programs_in_a_closed_folder_are_copied_with_their_libraries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with helpers.passable_folder() as folder:
        package = placement.installed_programs().parent.parent
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        for source in (package, package.with_name(f"{package.name}.libs")):
            (closed / source.name).symlink_to(source)
        programs = closed / package.name / "pginstall" / "bin"
        monkeypatch.setattr(placement, "installed_programs", lambda: programs)
        server = helpers.small_server(folder)
        with server.running() as dsn:
            assert first_value(dsn, "SELECT 1") == 1
        assert server.place.programs.is_relative_to(folder / "system")
        assert closed.stat().st_mode & 0o777 == 0o700
