"""The unchanged ``stack.yml`` on an engine of ours, and what an operator does to it."""

import json
import re
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.lab.processes import free_ports
from bench.lab.spawn import ServerError
from bench.lab.targets import ROOT
from tests.deploy.engine import Engine, until

STACK = "content"
TOKEN = "a token, with blanks"
SECRETS = {
    "write_token": f"{TOKEN}\n",  # an editor's last line end is not part of it
    "cassandra_password": "it's quoted\r\n",
    "cassandra_admin_password": "another",
    "redis_password": "of-letters.and_digits~7\r\n",
    "redis_admin_password": "one-more\n",
    "grafana_password": "a third\n",
}
ENDING = re.compile(r" web/(\S+) [-\d/+]+ (\d{3}) \d+ - - (\S{4}) ")
"""Of a line of HAProxy's log: server, status, and the letters for how the request ended."""
CATALOGUE_ROWS = 8_786
ENDED = ("completed", "paused", "rollback_completed", "rollback_paused")


class Site:
    """One deployed stack; ``variables`` are those of its files that this machine needs."""

    def __init__(
        self, engine: Engine, images: Mapping[str, str], files: Sequence[str] = ("stack.yml",)
    ) -> None:
        self.engine = engine
        self.files = files
        (self.port,) = free_ports(1)
        self.began_s = time.time()
        self.variables = {
            **images,
            "ENDPOINT_MODE": "dnsrr",  # there may be no IPVS in the kernel,
            "PORT_MODE": "host",  # without which there are no virtual addresses and no ingress
            "BALANCER_UPDATE_ORDER": "stop-first",
            "PUBLISHED_PORT": str(self.port),
            "BALANCER_MAXCONN": "8000",  # an unprivileged engine allows few descriptors
            "WEB_START_PERIOD": "20s",
            "GRAFANA_REPLICAS": "0",  # it is no package of Debian's
            "CASSANDRA_HEAP": "768M",
            **{f"CASSANDRA_{each}": "node.role==manager" for each in (1, 2, 3)},
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def deploy(self) -> float:
        """To the catalogue being served; seconds that it took."""
        for name, text in SECRETS.items():
            self.engine("secret", "create", f"{STACK}_{name}", "-", input=text.encode())
        self.apply()
        began = time.monotonic()
        until("the catalogue is served", self.serves_all, 900)
        until("three replicas are healthy", lambda: self.healthy("web") == 3, 120)
        return time.monotonic() - began

    def apply(self) -> None:
        """Bring the stack to its files and variables."""
        files = [part for each in self.files for part in ("-c", str(ROOT / each))]
        self.engine(
            "stack", "deploy", "--resolve-image", "never", *files, STACK, variables=self.variables
        )

    def serves_all(self) -> bool:
        status, body = self.ask("/uuids?limit=10000")
        return status == 200 and len(body["data"]) == CATALOGUE_ROWS

    def ask(
        self, path: str, method: str = "GET", body: Any = None, token: str | None = None
    ) -> tuple[int, Any]:
        """Status and JSON of an answer through the balancer; 0 when there is none."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, None
        except OSError:
            return 0, None

    def containers(self, service: str) -> list[str]:
        """Those that run, the oldest last."""
        label = f"label=com.docker.swarm.service.name={STACK}_{service}"
        return self.engine("ps", "--quiet", "--filter", label).split()

    def healthy(self, service: str) -> int:
        label = f"label=com.docker.swarm.service.name={STACK}_{service}"
        found = self.engine("ps", "--quiet", "--filter", label, "--filter", "health=healthy")
        return len(found.split())

    def crash(self, service: str) -> None:
        """Kills one container, as a machine's end would."""
        self.engine("kill", self.containers(service)[0])

    def scale(self, replicas: int) -> float:
        self.engine("service", "scale", "--detach", f"{STACK}_web={replicas}")

        def is_so() -> bool:
            return self.healthy("web") == replicas == len(self.containers("web"))

        return until(f"{replicas} replicas", is_so, 180)

    def update(self, image: str) -> str:
        """Update the replicas; return the state in which Swarm says that the update ended."""
        before = self._update_status().get("StartedAt")
        ended: list[str] = []
        flags = ("--detach", "--no-resolve-image", "--image", image)
        self.engine("service", "update", *flags, f"{STACK}_web")

        def is_over() -> bool:
            # there is no status between the command and Swarm's first step
            status = self._update_status()
            if status.get("StartedAt", before) != before and status["State"] in ENDED:
                ended.append(status["State"])
            return bool(ended)

        until(f"the update to {image} is over", is_over, 600)
        return ended[0]

    def _update_status(self) -> dict[str, Any]:
        (found,) = self.engine.json("service", "inspect", "-f", "{{json .}}", f"{STACK}_web")
        status: dict[str, Any] = found.get("UpdateStatus") or {}
        return status

    def query(self, expression: str) -> list[str]:
        """What Prometheus says now, a line a series; raises ServerError for a wrong expression."""
        (container,) = self.containers("prometheus")
        command = ("promtool", "query", "instant", "http://localhost:9090", expression)
        return self.engine("exec", container, *command).splitlines()

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        lines = self.query('ALERTS{alertstate="firing"}')
        return {name for line in lines for name in re.findall(r'alertname="(\w+)"', line)}

    def query_range(
        self, expression: str, began_s: float, ended_s: float, step_s: int
    ) -> list[dict[str, Any]]:
        """An expression's series from one time to another, with ``values`` of (s, text)."""
        (container,) = self.containers("prometheus")
        times = (f"--start={began_s:.0f}", f"--end={ended_s:.0f}", f"--step={step_s}s")
        command = ("promtool", "query", "--format=json", "range", *times, "http://localhost:9090")
        found: list[dict[str, Any]] = json.loads(
            self.engine("exec", container, *command, expression)
        )
        return found

    def redis_cli(self, container: str, *command: str, user: str = "admin") -> str:
        """What Redis, or a sentinel, answers to a user of whom the container has the secret."""
        secret = {"admin": "redis_admin_password"}.get(user, "redis_password")
        shell = f'REDISCLI_AUTH=$(tr -d "\\r\\n" < /run/secrets/{secret}) redis-cli "$@"'
        flags = ("--no-auth-warning", "--user", user)
        return self.engine("exec", container, "sh", "-c", shell, "sh", *flags, *command)

    def failures(self, since_s: float) -> str:
        """What the balancer has logged since then: how often each server, status and ending."""
        service = f"{STACK}_balancer"
        text = self.engine("service", "logs", "--raw", "--since", f"{since_s:.0f}", service)
        found = Counter(" ".join(each) for each in re.findall(ENDING, text))
        return ", ".join(f"{count:,} {each}" for each, count in found.most_common(6)) or "nothing"

    def logs(self, service: str) -> str:
        try:
            return self.engine("service", "logs", "--raw", "--tail", "30", f"{STACK}_{service}")
        except ServerError as error:
            return str(error)
