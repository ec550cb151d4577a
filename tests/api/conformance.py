"""A client that compares every answer of the real app with the contract."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any, NoReturn

import httpx
import jsonschema_rs
import orjson

from api.resource import CONTRACT
from db.embedded import EmbeddedStore
from db.store import State
from errors import ServiceError

DOCUMENT: dict[str, Any] = orjson.loads(CONTRACT.read_bytes())
COMPONENTS: dict[str, Any] = DOCUMENT["components"]
OF_THE_WIRE = {"connection", "content-length", "content-type", "date"}
REQUESTS = {"create", "delete", "genre", "genre_page", "ids", "random_id", "update", "video"}


class Moody(EmbeddedStore):
    """The real store, which fails, or has never been up, if a test sets ``fails`` or ``down``."""

    fails: ServiceError | None = None
    down = ""

    def state(self) -> tuple[State, str]:
        return ("starting", self.down) if self.down else super().state()

    def __getattribute__(self, name: str) -> Any:
        return super().__getattribute__("_fail" if name in REQUESTS and self.fails else name)

    async def genres(self) -> list[str]:
        if self.fails:  # the service has taken this method from the store before it fails
            raise self.fails
        return await super().genres()

    async def _fail(self, *_: object) -> NoReturn:
        assert self.fails
        raise self.fails


def operations() -> Iterator[dict[str, Any]]:
    """Yield every operation of the contract."""
    for item in DOCUMENT["paths"].values():
        yield from item.values()


def path(template: str) -> str:
    """Return a route's template as OpenAPI spells it, without converters."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", template)


class Api:
    """A client that compares every answer with the contract."""

    def __init__(self, client: httpx.AsyncClient, store: Moody) -> None:
        self.client = client
        self.store = store

    async def call(self, method: str, template: str, url: str, **more: Any) -> httpx.Response:
        response = await self.client.request(method, url, **more)
        documented = DOCUMENT["paths"][path(template)][method.lower()]["responses"]
        assert str(response.status_code) in documented, response.text
        self.check(response, resolve(documented[str(response.status_code)]))
        return response

    def check(self, response: httpx.Response, answer: dict[str, Any]) -> None:
        headers = {name.lower(): resolve(one) for name, one in answer["headers"].items()}
        assert set(response.headers) - OF_THE_WIRE <= set(headers)
        assert {name for name in headers if headers[name]["required"]} <= set(response.headers)
        if "content" not in answer:
            assert response.content == b""
            return
        media = response.headers["content-type"]
        [content] = [content for key, content in answer["content"].items() if names(key, media)]
        if media == "application/json":
            validator(content["schema"]).validate(response.json())


def names(key: str, media: str) -> bool:
    """Return whether ``key`` of the contract, such as ``text/*``, names the type ``media``."""
    return media == key or fnmatch(media.partition(";")[0], key)


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """Return the component that ``node`` refers to, or ``node`` if it is no reference."""
    if "$ref" not in node:
        return node
    found = DOCUMENT
    for key in node["$ref"].removeprefix("#/").split("/"):
        found = found[key]
    return found


def validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Return a validator for a schema of the contract."""
    whole = {**schema, "components": COMPONENTS}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
