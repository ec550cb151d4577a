"""The page and its assets: complete, from here alone, and cheap to have again."""

import gzip
import re

import pytest

from api.resource import CONTRACT, ROOM, takes_gzip
from tests.api.conformance import Api

FOLDER = ROOM / "swagger"
BUNDLE = "/docs/swagger-ui-bundle.js"


async def test_page_loads_its_own_assets_and_nothing_else(api: Api) -> None:
    page = await api.client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(links) == 6
    for link in links:
        assert not re.match(r"\w+:|//", link)
        assert (await api.client.get(f"/{link}")).status_code == 200
    assert re.findall(r"<script[^>]*>", page.text) == re.findall(
        r"<script[^>]*src=[^>]*>", page.text
    )


async def test_policy_of_the_page_allows_no_other_origin_and_nothing_inline(api: Api) -> None:
    policy = (await api.client.get("/docs")).headers["content-security-policy"]
    allowed = {word for rule in policy.split("; ") for word in rule.split()[1:]}
    assert allowed == {"'self'", "'none'", "data:"}
    assert "default-src 'none'" in policy


async def test_script_of_the_page_asks_no_validator_elsewhere(api: Api) -> None:
    script = (await api.client.get("/docs/page.js")).text
    assert "validatorUrl: null" in script
    assert "//" not in re.sub(r"// .*", "", script)
    assert 'url: "openapi.json"' in script


async def test_contract_is_served_as_the_file_stands(api: Api) -> None:
    for coding in ("identity", "gzip"):
        response = await api.client.get("/openapi.json", headers={"Accept-Encoding": coding})
        assert response.content == CONTRACT.read_bytes()
        assert response.headers["content-type"] == "application/json"
        assert response.headers["cache-control"] == "no-cache"
        tag = {"If-None-Match": response.headers["etag"], "Accept-Encoding": coding}
        assert (await api.client.get("/openapi.json", headers=tag)).status_code == 304


@pytest.mark.parametrize(
    ("asset", "media"),
    [
        ("page.css", "text/css; charset=utf-8"),
        ("page.js", "text/javascript; charset=utf-8"),
        ("swagger-ui.css", "text/css; charset=utf-8"),
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("swagger-ui-bundle.js.LICENSE.txt", "text/plain; charset=utf-8"),
        ("favicon-32x32.png", "image/png"),
    ],
)
async def test_asset_is_served_with_its_type_and_may_be_kept(
    api: Api, asset: str, media: str
) -> None:
    response = await api.client.get(f"/docs/{asset}")
    assert response.status_code == 200
    assert response.headers["content-type"] == media
    assert response.headers["cache-control"] == "max-age=3600"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["vary"] == "accept-encoding"
    again = await api.client.get(
        f"/docs/{asset}", headers={"If-None-Match": response.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


async def test_client_without_gzip_gets_the_same_script_under_another_tag(api: Api) -> None:
    packed = await api.client.get(BUNDLE, headers={"Accept-Encoding": "gzip"})
    plain = await api.client.get(BUNDLE, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert plain.content == gzip.decompress((FOLDER / f"{BUNDLE[6:]}.gz").read_bytes())
    assert plain.content == packed.content
    assert len(plain.content) == int(plain.headers["content-length"])
    assert packed.headers["etag"] != plain.headers["etag"]


async def test_head_of_an_asset_says_its_length_and_sends_nothing(api: Api) -> None:
    response = await api.client.head(BUNDLE)
    assert response.headers["content-length"] == str((FOLDER / f"{BUNDLE[6:]}.gz").stat().st_size)
    assert response.content == b""


@pytest.mark.parametrize(
    "name",
    ["page.html", "README.md", "LICENSE", "swagger-ui-bundle.js.gz", "..%2Fassets.py", "%00", "x"],
)
async def test_no_other_file_is_served(api: Api, name: str) -> None:
    response = await api.client.get(f"/docs/{name}")
    assert response.status_code == 404
    assert response.json() == {"status": "failed", "message": "Not Found"}


def test_what_is_vendored_is_small_reproducible_and_licensed() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 600_000
    for path in FOLDER.glob("*.gz"):
        assert path.read_bytes()[4:8] == bytes(4), f"{path.name} has a time stamp"
    assert "Apache License" in (FOLDER / "LICENSE").read_text()


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("identity", False),
        ("*;q=0, gzip;q=1.0", True),
        (";;,q=,gzip;x", True),
    ],
)
def test_gzip_is_sent_to_who_takes_it(accepted: str | None, takes: bool) -> None:
    assert takes_gzip(accepted) is takes
