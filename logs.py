"""Logs on stderr: a line of text for each record, or a JSON object with ``LOG_FORMAT=json``."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from config import Config


class JsonFormatter(logging.Formatter):
    """Makes one JSON object of each record. Arguments that are a mapping are fields, too.

    The object is ASCII, by ``json``, because orjson refuses lone surrogates, and not every encoding
    of stderr has all characters.
    """

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {"time": when, "level": record.levelname, "logger": record.name}
        line |= {"message": record.getMessage(), "process": record.process}
        if isinstance(record.args, Mapping):
            line |= record.args
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up(config: Config) -> None:
    """Log every record from INFO on. With several workers, each line has its process ID."""
    process = "[%(process)d] " if config.workers > 1 else ""
    text = logging.Formatter(f"%(asctime)s {process}%(levelname)s %(message)s")
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if config.log_format == "json" else text)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
