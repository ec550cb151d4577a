"""A report read as a browser reads it."""

import re
from html.parser import HTMLParser
from typing import Any

from bench.report.charts import style

VOID = frozenset(("meta", "rect", "line", "polyline", "br"))


class Reader(HTMLParser):
    """Holds the elements against each other, and keeps what they show."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.figures: list[float] = []
        self.links: list[str] = []
        self.loose: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("data-value", "value"):
                self.figures.append(float(value or "nan"))
            if name in ("src", "href"):
                self.links.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open and "data" not in self.open:
            self.loose.append(data)


def read(html: str) -> Reader:
    """Raises AssertionError where elements are not closed in order."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def figures_of(html: str) -> list[float]:
    return read(html).figures


def leaves(value: Any) -> set[float]:
    """Every number in what JSON has."""
    if isinstance(value, dict):
        return set[float]().union(*map(leaves, value.values()))
    if isinstance(value, list):
        return set[float]().union(*map(leaves, value))
    return {float(value)} if isinstance(value, int | float) else set()


def shades(colour: str) -> list[str]:
    """A colour of the reports in the light scheme and in the dark one."""
    return re.findall(rf"--{colour}: (#\w+)", style())
