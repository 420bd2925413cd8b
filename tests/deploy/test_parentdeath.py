"""Promises about children and their parent's death; the deaths are in `test_supervisor`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from core import errors
from deploy import parentdeath


def test_a_side_thread_may_not_start_children() -> None:
    raised: list[BaseException] = []

    def start() -> None:
        try:
            parentdeath.spawn_arguments()
        except errors.Misconfigured as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert len(raised) == 1


def test_a_child_leads_its_own_session_so_ctrl_c_does_not_reach_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid())"],
        capture_output=True,
        check=True,
        **parentdeath.spawn_arguments(signal.SIGTERM),
    )
    assert done.stdout.strip() == b"True"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change accounts")
def test_a_child_of_root_runs_as_the_account_with_none_of_roots_groups() -> None:
    user = parentdeath.unprivileged_user()
    assert user is not None
    assert user.uid != 0
    done = subprocess.run(
        ["/usr/bin/id", "-u"],
        capture_output=True,
        check=True,
        **parentdeath.spawn_arguments(signal.SIGTERM, user),
    )
    assert int(done.stdout) == user.uid
    assert 0 not in user.groups


def test_an_unknown_account_is_none() -> None:
    assert parentdeath.find_user("no-such-account") is None
