"""The files of a deployment against what they are about: names that exist, and nothing left open.

No engine is needed for these; promtool, haproxy and docker's client are used where they are.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.lab.targets import ROOT
from bench.load.wrk import Seen
from config import Config
from db.cassandra.writes import SETTLE_S
from tests.bench.reports import shades
from tests.http.service import running

DEPLOY = ROOT / "deploy"
OPERATIONS = ROOT / "docs" / "operations.md"
STACKS = ("stack.yml", "stack.cluster.yml", "compose.yml")
TLS = "stack.tls.yml"
SUFFIXES = re.compile(r"_(bucket|count|sum|total|created)$")
WRK = """\
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     5.13ms    9.24ms   1.25s    95.00%
  1204 requests in 2.00s, 1.00MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
"""


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def expressions() -> list[str]:
    """All PromQL that we wrote."""
    panels = json.loads((DEPLOY / "grafana" / "content.json").read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    signals = "latency|traffic|errors|saturation|what|the store|Redis |near"
    table = re.findall(rf"^\| (?:{signals}).*", OPERATIONS.read_text(), re.M)
    return [*found, *table, (DEPLOY / "alerts.yml").read_text()]


def test_every_metric_that_is_asked_for_is_one_of_the_service(tmp_path: Path) -> None:
    nowhere = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1"}
    with running(nowhere, tmp_path) as service:
        service.client.get("/home")
        text = service.client.get("/metrics").text
    named = {SUFFIXES.sub("", line.split()[2]) for line in text.splitlines() if "# TYPE" in line}
    asked = {name for each in expressions() for name in re.findall(r"\bcontent_[a-z_]+", each)}
    assert {SUFFIXES.sub("", each) for each in asked} - named == set()
    assert len(asked) > 5


def test_a_layer_has_the_colour_of_the_report_on_the_dashboard() -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "content.json").read_text())
    overridden = [
        {each["matcher"]["options"]: each["properties"][0]["value"]["fixedColor"] for each in found}
        for panel in dashboard["panels"]
        if (found := panel.get("fieldConfig", {}).get("overrides"))
    ]
    layers = ("near", "redis", "store", "collapsed", "stale")
    dark = {layer: shades(layer)[1] for layer in layers}  # which are the demo's, by another test
    assert overridden == [dark] * 3


def test_alerts_fire_when_they_should_and_on_no_ordinary_day() -> None:
    command = [program("promtool"), "test", "rules", str(DEPLOY / "alerts.test.yml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_alert_is_explained_and_tested() -> None:
    alerts = re.findall(r"- alert: (\w+)", (DEPLOY / "alerts.yml").read_text())
    explained = OPERATIONS.read_text()
    tested = (DEPLOY / "alerts.test.yml").read_text()
    assert [each for each in alerts if not re.search(rf"\b{each}\b", explained)] == []
    assert [each for each in alerts if len(re.findall(rf"\b{each}\b", tested)) < 2] == []


def test_haproxy_takes_its_file() -> None:
    command = [program("haproxy"), "-c", "-f", str(DEPLOY / "haproxy.cfg")]
    done = subprocess.run(command, env={"MAXCONN": "100"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tls", [(), (TLS,)])
@pytest.mark.parametrize("base", [("stack.yml",), ("stack.yml", "stack.cluster.yml")])
def test_stacks_are_clean(base: tuple[str, ...], tls: tuple[str, ...]) -> None:
    flags = [part for each in base + tls for part in ("-c", str(ROOT / each))]
    docker = program("docker")
    done = subprocess.run([docker, "stack", "config", *flags], capture_output=True, text=True)
    if "unknown" in done.stderr or "is not a docker command" in done.stderr:
        pytest.skip("this docker has no `stack config`")
    assert (done.returncode, done.stderr) == (0, "")
    published = re.findall(r"published: (\d+)", done.stdout)
    assert published == ["80", "443"][: 1 + len(tls)]  # the balancer's


@pytest.mark.parametrize("name", STACKS)
def test_images_are_pinned_by_version(name: str) -> None:
    images = re.findall(r"image: (\S+)", (ROOT / name).read_text())
    for image in images:
        default = re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", image)
        assert default == "content:latest" or re.search(r":v?\d+\.\d+\.\d+", default), image
    assert images


@pytest.mark.parametrize("name", STACKS)
def test_no_service_has_capabilities(name: str) -> None:
    text = (ROOT / name).read_text()
    services = text[text.index("\nservices:") :].split("\nnetworks:")[0]
    started = [each for each in re.split(r"\n  (?=\w)", services) if "image:" in each]
    assert started
    for service in started:
        assert "<<: *hardened" in service or "cap_drop: [ALL]" in service, service.split(":")[0]
    shared = re.findall(r"^x-(?:hardened|cassandra):.*\n((?:  .*\n)+)", text, re.MULTILINE)
    assert all("cap_drop: [ALL]" in each for each in shared)


def test_redis_is_one_without_the_known_fault_of_lua() -> None:
    text = "".join((ROOT / name).read_text() for name in STACKS)
    versions = re.findall(r"redis:(\d+)\.(\d+)\.(\d+)", text)
    assert versions
    assert min(tuple(map(int, each)) for each in versions) >= (7, 2, 11)


def test_every_network_is_encrypted() -> None:
    text = (ROOT / "stack.yml").read_text()
    assert 'driver_opts: {encrypted: "true"}' in text
    networks = re.findall(
        r"^  \w+: .*", text.split("\nnetworks:")[1].split("\n\n")[0], re.MULTILINE
    )
    assert len(networks) == 4
    assert all("*encrypted" in each for each in networks)


def test_the_services_rights_in_redis_are_those_of_the_documents() -> None:
    script = (DEPLOY / "redis-node.sh").read_text()
    rights = re.findall(r"^RIGHTS='([^']*)'", script, re.MULTILINE)[0].split()
    documented = re.findall(r"`(~content:\*[^`]*)`", OPERATIONS.read_text())[0].split()
    assert rights == documented


def test_no_code_of_others_runs_in_the_workflow_unless_pinned_by_commit() -> None:
    for path in (ROOT / ".github" / "workflows").iterdir():
        for action in re.findall(r"uses: (\S+)", path.read_text()):
            assert re.search(r"@[0-9a-f]{40}$", action), action


def test_the_workflow_tests_every_python_and_builds_the_image_with_its_own() -> None:
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text()
    tested = re.findall(r'"(3\.\d+)"', re.findall(r"python: \[(.*)\]", workflow)[0])
    oldest = re.findall(r'requires-python = ">=(3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    image = (ROOT / "Dockerfile").read_text()
    bounds = re.findall(r"any image with Python (3\.\d+) to (3\.\d+)", image)
    assert [(oldest[0], tested[-1])] == bounds
    assert tested == [f"3.{minor}" for minor in range(11, int(tested[-1][2:]) + 1)]
    of_image = re.findall(r"ARG BASE=python:(3\.\d+)", image)
    assert re.findall(r"if: matrix\.python == '(3\.\d+)'", workflow) == of_image


@pytest.mark.parametrize("name", ["stack.yml", "compose.yml"])
def test_the_grace_is_longer_than_drain_and_end(name: str) -> None:
    web = re.findall(r"^  web:\n((?:    .*\n)+)", (ROOT / name).read_text(), re.MULTILINE)[0]
    drain_s = float((re.findall(r'DRAIN_S: "(\d+)"', web) or [Config().drain_s])[0])
    end_s = float(re.findall(r"Allow `DRAIN_S` \+ (\d+) s", OPERATIONS.read_text())[0])
    grace_s = float(re.findall(r"stop_grace_period: (\d+)s", web)[0])
    assert grace_s > drain_s + end_s


def test_the_documents_say_for_how_long_an_outcome_may_stay_open() -> None:
    for path in (ROOT / "docs" / "api.md", OPERATIONS):
        assert f"for up to {SETTLE_S:.0f} s" in path.read_text()


def test_wrk_is_read_with_all_its_failures() -> None:
    seen = Seen()
    seen.read(WRK)
    assert (seen.requests, seen.failed, seen.slowest_s) == (1204, 15, 1.25)


def test_requirements_are_hashed_and_those_of_the_short_file() -> None:
    short = re.findall(r"^([\w-]+==\S+)", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    long = (ROOT / "requirements.txt").read_text()
    pinned = re.findall(r"^([\w-]+==\S+)(?: ;.*)? \\\n    --hash=sha256:", long, re.MULTILINE)
    assert set(short) <= set(pinned)
    assert len(pinned) == len(re.findall(r"^[\w-]+==", long, re.MULTILINE))
