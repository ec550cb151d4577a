"""Prometheus with the alerts of `deploy/alerts.yml`, each of which fires after a second here."""

import json
import re
from collections.abc import Sequence

from bench.lab.asking import ask
from bench.lab.processes import Server
from bench.lab.targets import ROOT, HttpServer, installed

ALERTS = ROOT / "deploy" / "alerts.yml"
PERIOD = "1s"


class Prometheus(HttpServer):
    """It scrapes ``services``, and evaluates the alerts, once a second."""

    def __init__(self, *services: Server) -> None:
        super().__init__("prometheus", "/-/ready")
        self._targets = [f"{each.host}:{each.port}" for each in services]

    def program(self) -> Sequence[str]:
        rules, settings = self.folder / "alerts.yml", self.folder / "prometheus.yml"
        rules.write_text(re.sub(r"for: \w+", f"for: {PERIOD}", ALERTS.read_text()))
        whole = {
            "global": {"scrape_interval": PERIOD, "evaluation_interval": PERIOD},
            "rule_files": [str(rules)],
            "scrape_configs": [
                {"job_name": "web", "static_configs": [{"targets": self._targets}]},
            ],
        }
        settings.write_text(json.dumps(whole))  # which is YAML
        return [
            installed("prometheus"),
            f"--config.file={settings}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.host}:{self.port}",
        ]

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = ask(self, "/api/v1/alerts").data["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}
