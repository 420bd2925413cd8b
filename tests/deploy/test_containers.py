"""Compose and Kubernetes: well formed, no secret inside, commands and settings that there are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped] # ships no types

from api import config as api_config
from core.clock import utc_now
from deploy import certificates
from edge import config as edge_config
from ingest import config as ingest_config
from tests.deploy.helpers import ROOT
from tests.deploy.test_server_install import is_understood

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMPOSE = ROOT / "deploy" / "compose"
KUBERNETES = ROOT / "deploy" / "kubernetes"
BUNDLE = ROOT / "deploy" / "edge-install" / "bundle.sh"
PLANT = ROOT / "tests" / "deploy" / "deployed-plant.toml"
OURS = "danhao:0.1.0"
BACKUP = "/opt/danhao-server/libexec/backup.sh"


def composed() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8"))[
        "services"
    ]
    return services


def test_each_service_of_the_composition_runs_a_command_that_there_is() -> None:
    services = composed()
    ours = {name: each for name, each in services.items() if each["image"] == OURS}
    assert set(ours) == {"migrate", "ingest", "api", "tools", "backup"}
    for name, service in ours.items():
        if "command" in service:
            assert is_understood(service["command"]), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
    assert ours["backup"]["entrypoint"] == [BACKUP]


def test_only_the_brokers_tls_port_is_open_to_others() -> None:
    ports = {name: each["ports"] for name, each in composed().items() if "ports" in each}
    assert ports == {"broker": ["8883:8883"], "api": ["127.0.0.1:8080:8080"]}
    for name in ("compose/mosquitto.conf", "kubernetes/mosquitto/mosquitto.conf"):
        text = (ROOT / "deploy" / name).read_text("utf-8")
        assert re.findall(r"^listener (.*)$", text, re.MULTILINE) == ["8883"]
        assert "allow_anonymous false" in text


def test_no_secret_has_a_default() -> None:
    written = re.compile(
        r"(?:PASSWORD|SECRET|TOKEN)\w*\W+(?!\w*FILE|/run/secrets)\w{4,}"  # in an environment
        r"|password\s*[:=]|://[^/\s:]+:[^@\s%]+@|kind: Secret|BEGIN .*PRIVATE"
    )
    assert written.search("POSTGRES_PASSWORD: danhao")
    assert written.search("postgresql://danhao:danhao@database/danhao")
    found = [
        f"{path.relative_to(ROOT)}: {match.group(0)}"
        for folder in (COMPOSE, KUBERNETES)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "private" not in path.parts
        for match in written.finditer(path.read_text("utf-8"))
    ]
    assert found == []


def test_the_image_holds_what_the_composition_and_the_manifests_call() -> None:
    text = (COMPOSE / "Containerfile").read_text("utf-8")
    assert BACKUP in text
    assert "--require-hashes -r /tmp/all.txt" in text
    assert "USER 10001:10001" in text
    for path in re.findall(r"^COPY (?:--chmod=\d+ )?([\w./-]+) ", text, re.MULTILINE):
        assert (ROOT / path).exists(), path
    ignored = (COMPOSE / "Containerfile.dockerignore").read_text("utf-8").split()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert {name for name in kept if not (ROOT / name).exists()} == set()
    assert "deploy/compose/private" in ignored


@pytest.fixture
def bootstrapped(tmp_path: Path) -> Path:
    """Return a copy of the composition's folder in which its own script has run."""
    if os.geteuid() != 0:
        pytest.skip("files are given to the containers' users, which only root can do")
    folder = tmp_path / "compose"
    shutil.copytree(COMPOSE, folder, ignore=shutil.ignore_patterns("private"))
    bootstrap(folder)
    return folder


def bootstrap(folder: Path) -> None:
    program = folder / "program"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m danhao "$@"\n')
    program.chmod(0o700)
    subprocess.run(
        ["sh", str(folder / "bootstrap.sh"), "broker.example", str(PLANT)],
        env={"PATH": os.environ["PATH"], "DANHAO_PROGRAM": str(program)},
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    )


@pytest.mark.slow
def test_the_bootstrap_makes_what_the_composition_reads_and_makes_it_once(
    bootstrapped: Path,
) -> None:
    private = bootstrapped / "private"
    before = {path: path.read_bytes() for path in private.rglob("*") if path.is_file()}
    bootstrap(bootstrapped)
    after = {path: path.read_bytes() for path in private.rglob("*") if path.is_file()}
    assert after == before
    names = {str(path.relative_to(private)) for path in before}
    text = (COMPOSE / "compose.yaml").read_text("utf-8")
    for each in re.findall(r"private/[a-z.]+", text):
        assert (bootstrapped / each).exists(), each
    conf = (COMPOSE / "mosquitto.conf").read_text("utf-8")
    assert {f"mosquitto/{each}" for each in re.findall(r"/mosquitto/danhao/(\S+)", conf)} <= names
    open_to_all = {str(path.relative_to(private)) for path in before if path.stat().st_mode & 0o007}
    assert {"danhao/ca.pem", "danhao/plant.toml"} <= open_to_all
    assert [
        name for name in open_to_all if "secret" in name or name.endswith((".key", ".env"))
    ] == []
    owners = {name: (private / name).stat() for name in names}
    assert owners["danhao/ingest.secret"].st_uid == 10001
    assert owners["mosquitto/server.key"].st_gid == 1883


@pytest.mark.slow
def test_what_the_bootstrap_wrote_is_a_configuration(bootstrapped: Path) -> None:
    private = bootstrapped / "private"
    name, _, url = (private / "danhao.env").read_text().strip().partition("=")
    path = private / "danhao" / "danhao.toml"
    loaded = ingest_config.load({name: url}, path)
    secret = (private / "database.secret").read_text()
    assert loaded.database.url == f"postgresql://danhao:{secret}@database/danhao"
    assert len(secret) == 64
    assert (loaded.mqtt.tls, loaded.mqtt.username) == (True, "ingest")


def pods(kind: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the pod's template of a manifest, wherever its kind has it."""
    spec = kind.get("spec") or {}
    if kind["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    if isinstance(spec.get("template"), dict):
        yield spec["template"]["spec"]


def judge(manifests: list[dict[str, Any]]) -> None:
    """Hold each pod against the restricted standard, and its command against the program."""
    seen = 0
    for manifest in manifests:
        for pod in pods(manifest):
            seen += 1
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert pod["automountServiceAccountToken"] is False
            volumes = {volume["name"] for volume in pod["volumes"]} | {"data"}
            for container in pod["containers"]:
                locked = container["securityContext"]
                assert locked["allowPrivilegeEscalation"] is False
                assert locked["readOnlyRootFilesystem"] is True
                assert locked["capabilities"] == {"drop": ["ALL"]}
                assert container["resources"]["limits"]["memory"]
                assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
                if "args" in container:
                    assert is_understood(container["args"])
                else:
                    assert container["command"][0] in {BACKUP, "mosquitto"}
    assert seen >= 1


@pytest.mark.parametrize(
    "path",
    sorted((KUBERNETES / "base").glob("*.yaml"))
    + sorted((KUBERNETES / "mosquitto").glob("*.yaml")),
    ids=lambda path: path.name,
)
def test_each_manifest_runs_locked_up_and_a_command_that_there_is(path: Path) -> None:
    manifests = list(yaml.safe_load_all(path.read_text("utf-8")))
    if any(list(pods(each)) for each in manifests if "kind" in each):
        judge(manifests)
    assert all(each["apiVersion"] for each in manifests)


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "workers"), [("timescale", 2), ("citus", 4)])
def test_a_variant_is_put_together_by_kustomize(variant: str, workers: int) -> None:
    program = shutil.which("kubectl") or shutil.which("kustomize")
    if program is None:
        pytest.skip("there is neither kubectl nor kustomize here")
    word = "kustomize" if program.endswith("kubectl") else "build"
    done = subprocess.run(
        [program, word, str(KUBERNETES / variant)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    manifests = list(yaml.safe_load_all(done.stdout))
    judge(manifests)
    named = {(each["kind"], each["metadata"]["name"]): each for each in manifests}
    assert named["Deployment", "danhao-ingest"]["spec"]["replicas"] == workers
    assert {each["metadata"].get("namespace", "danhao") for each in manifests} == {"danhao"}
    job = named["Job", "danhao-migrate"]["spec"]["template"]["spec"]["containers"][0]
    assert job["image"] == OURS
    assert job["args"][:2] == ["db", "migrate"]
    assert ("citus" in job["args"]) is (variant == "citus")
    assert "Secret" not in {kind for kind, _ in named}
    maps = {name for kind, name in named if kind == "ConfigMap"}
    wanted = set(re.findall(r"name: (danhao-[a-z0-9]{10}|mosquitto-[a-z0-9]{10})", done.stdout))
    assert wanted == maps


@pytest.mark.parametrize("variant", ["base", "citus"])
def test_the_manifests_settings_are_a_configuration(variant: str) -> None:
    path = KUBERNETES / variant / "danhao.toml"
    environment = {"DANHAO_DATABASE_URL": "postgresql://x/y", "DANHAO_CONFIG": str(path)}
    loaded = ingest_config.load(environment)
    assert loaded.mqtt.tls
    assert str(loaded.mqtt.password_file) == "/etc/danhao-secret/password"
    assert (loaded.ingest.batch_messages > 256) is (variant == "citus")
    assert api_config.load(environment).host == "0.0.0.0"  # noqa: S104 - inside a pod


@pytest.fixture
def broker(tmp_path: Path) -> Path:
    """Return a folder as `danhao broker` leaves it, as far as a bundle looks at it."""
    folder = tmp_path / "broker"
    (folder / "secrets").mkdir(parents=True)
    certificates.issue(folder, ["broker.example"], utc_now())
    for name in ("gh-al.gw-01", "gh-al.gw-02", "ingest"):
        (folder / "secrets" / name).write_text(f"secret of {name}\n")
    (tmp_path / "danhao-0.1.0-py3-none-any.whl").write_text("a wheel")
    return folder


def bundled(broker: Path, agent: str, url: str) -> subprocess.CompletedProcess[str]:
    wheel = broker.parent / "danhao-0.1.0-py3-none-any.whl"
    command = ["sh", str(BUNDLE), str(wheel), str(broker), "gh-al", agent, url]
    return subprocess.run(
        [*command, str(broker.parent / "bundle")],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )


def test_a_bundle_holds_its_own_gateways_secret_and_a_configuration(broker: Path) -> None:
    assert bundled(broker, "gw-01", "mqtts://broker.example:8883").returncode == 0
    bundle = broker.parent / "bundle"
    assert {path.name for path in bundle.iterdir()} == {
        "broker.secret",
        "ca.pem",
        "danhao-0.1.0-py3-none-any.whl",
        "danhao-edge.service",
        "edge.toml",
        "install.sh",
        "setup.sh",
    }
    texts = {path.name: path.read_text("utf-8") for path in bundle.iterdir()}
    assert [name for name, text in texts.items() if "secret of" in text] == ["broker.secret"]
    assert texts["broker.secret"] == "secret of gh-al.gw-01\n"
    assert bundle.stat().st_mode & 0o077 == 0
    meter = '[[device]]\nname = "m"\ndriver = "modbus-tcp"\nhost = "192.0.2.10"\n'
    points = '[device.points]\n"gh-al.potline-1.ac-import" = "import_active_energy"\n'
    path = broker.parent / "edge.toml"
    placed = texts["edge.toml"].replace("/etc/danhao/", f"{bundle}/")
    path.write_text(f'{placed}{meter}unit_id = 1\nmodel = "acrel_adw300"\n{points}')
    loaded = edge_config.load(path)
    assert (loaded.settings.site, loaded.settings.agent) == ("gh-al", "gw-01")


@pytest.mark.parametrize(
    ("agent", "url", "why"),
    [
        ("gw-01", "mqtt://broker.example:1883", "not encrypted"),
        ("gw-01", 'mqtts://x"\nusername = "ingest', "no address of a broker"),
        ("gw-09", "mqtts://broker.example:8883", "declare the agent"),
        ("../ingest", "mqtts://broker.example:8883", "not an agent's name"),
    ],
)
def test_a_bundle_that_would_not_work_is_refused(
    broker: Path, agent: str, url: str, why: str
) -> None:
    done = bundled(broker, agent, url)
    assert (done.returncode, why in done.stderr) == (2, True)
    assert not (broker.parent / "bundle").exists()
