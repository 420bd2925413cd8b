"""`danhao doctor` beside a whole service: what it says is what goes on, also when all is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.deploy.doctor.looks import PLANT
from tests.fixtures.service import ROOT, Service, data_directory, wait_until

pytestmark = pytest.mark.system


def doctor(service: Service) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return the exit code and the worst line of each topic."""
    done = subprocess.run(
        [sys.executable, "-m", "danhao", "doctor", "--json", "--data-dir", str(service.data_dir)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    items = json.loads(done.stdout)["items"]
    return done.returncode, {each["topic"]: each for each in reversed(items)}


def test_a_running_service_is_well_but_for_what_was_never_heard_and_a_gone_one_is_broken() -> None:
    with data_directory() as path:
        service = Service(path)
        try:
            service.wait_ready()
            plant = path.parent / f"{path.name}.plant.toml"
            plant.write_text(PLANT, "utf-8")
            service.apply(plant)
            plant.unlink()
            wait_until(
                lambda: doctor(service)[1]["workers"]["grade"] == "well", 60, "a worker a site"
            )
            code, found = doctor(service)
            assert code == 1
            assert {topic for topic, each in found.items() if each["grade"] == "broken"} == set()
            assert "gh-al.gw-01, gh-al.gw-02, nx-fa.gw-01 never" in found["agents"]["seen"]
            assert found["readings"]["seen"] == "no reading was ever stored"
            for topic in ("schema", "clock", "letters", "keeping", "broker", "catalogue"):
                assert found[topic]["grade"] == "well", found[topic]
            assert service.stop() == 0
            code, found = doctor(service)
            assert code == 1
            assert {found[topic]["grade"] for topic in ("database", "broker")} == {"broken"}
        finally:
            service.stop()
