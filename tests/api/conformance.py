"""A client that holds every answer of the real app against the contract."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema_rs

from api.openapi import path
from db.embedded import EmbeddedStore
from db.store import State, Written
from db.version import Expected
from db.video import Changes, Row
from errors import ServiceError

OF_THE_WIRE = {"connection", "content-length", "content-type", "date"}


class Moody(EmbeddedStore):
    """The real store, which fails or says that it was never there when a test wants that."""

    fails: ServiceError | None = None
    down = ""

    def state(self) -> tuple[State, str]:
        return ("starting", self.down) if self.down else super().state()

    async def video(self, video_id: str) -> Row:
        if self.fails:
            raise self.fails
        return await super().video(video_id)

    async def update(self, video_id: str, changes: Changes, expected: Expected) -> Written:
        if self.fails:
            raise self.fails
        return await super().update(video_id, changes, expected)


class Api:
    """A client that holds every answer against the contract."""

    def __init__(self, client: httpx.AsyncClient, store: Moody, document: dict[str, Any]) -> None:
        self.client = client
        self.store = store
        self.document = document

    async def call(self, method: str, template: str, url: str, **more: Any) -> httpx.Response:
        response = await self.client.request(method, url, **more)
        documented = self.document["paths"][path(template)][method.lower()]["responses"]
        assert str(response.status_code) in documented, response.text
        self.check(response, self.resolve(documented[str(response.status_code)]))
        return response

    def check(self, response: httpx.Response, answer: dict[str, Any]) -> None:
        headers = {name.lower(): self.resolve(one) for name, one in answer["headers"].items()}
        assert set(response.headers) - OF_THE_WIRE <= set(headers)
        assert {name for name in headers if headers[name]["required"]} <= set(response.headers)
        if "content" not in answer:
            assert response.content == b""
            return
        media = response.headers["content-type"]
        [(expected, content)] = answer["content"].items()
        assert media == expected or media.startswith(expected + ";") or expected == "*/*"
        if media == "application/json":
            validator(self.document, content["schema"]).validate(response.json())

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        found = self.document
        for key in node["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        return found


def validator(
    document: dict[str, Any], schema: dict[str, Any]
) -> jsonschema_rs.Draft202012Validator:
    whole = {**schema, "components": document["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
