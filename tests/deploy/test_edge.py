"""TLS, HTTP/2 and compression of deploy/haproxy.cfg, in a real HAProxy over a real service."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from bench.lab.balancer import Balancer
from bench.lab.spawn import ServerError
from bench.lab.targets import installed
from tests.deploy.edge import Seen, certificate, curl
from tests.http.samples import FULL, draft, post
from tests.http.service import CLIENT_TIMEOUT_S, RunningService, running

ROWS = 30


class Edge(NamedTuple):
    balancer: Balancer
    service: RunningService
    client: httpx.Client
    ids: list[str]

    def get(self, target: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(target, headers={"accept-encoding": "gzip", **named})


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for program in ("haproxy", "openssl", "curl"):
        try:
            installed(program)
        except ServerError as missing:
            pytest.skip(str(missing))
    path = tmp_path_factory.mktemp("tls") / "site.pem"
    path.write_bytes(certificate())
    return path


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, pem: Path) -> Iterator[Edge]:
    """With TLS; the client trusts its certificate."""
    with running({}, tmp_path_factory.mktemp("edge")) as service:
        ids = [post(service.client, **FULL)["id"] for _ in range(ROWS)]
        with Balancer([service], pem=pem) as balancer:
            url = f"https://{balancer.host}:{balancer.tls_port}"
            trusted = ssl.create_default_context(cafile=str(pem))
            with httpx.Client(
                base_url=url, verify=trusted, timeout=CLIENT_TIMEOUT_S, trust_env=False
            ) as client:
                yield Edge(balancer, service, client, ids)


def test_rows_by_http_2_are_those_of_the_service(edge: Edge, pem: Path) -> None:
    url, path = str(edge.client.base_url), f"/content/{edge.ids[0]}"
    body = edge.service.client.get(path).content
    assert edge.get(path).content == body
    for option, version in (("--http2", "2"), ("--http1.1", "1.1")):
        seen = curl(url + path, option, "--cacert", str(pem))
        assert seen == Seen(version, 200, "", len(body))


def test_plain_http_is_sent_to_https_without_its_port(edge: Edge) -> None:
    plain = f"http://{edge.balancer.host}:{edge.balancer.port}"
    path = "/content?videoId=a%2Fb&x=1"
    for method in ("GET", "PATCH"):
        seen = curl(plain + path, "--request", method)
        assert (seen.status, seen.redirect) == (308, f"https://{edge.balancer.host}{path}")


def test_without_a_certificate_there_is_no_redirect_and_no_tls(edge: Edge) -> None:
    with Balancer([edge.service]) as balancer:
        url = f"http://{balancer.host}:{balancer.port}"
        assert curl(f"{url}/home").redirect == ""
        with pytest.raises(ServerError, match="curl"):
            curl(f"https://{balancer.host}:{balancer.tls_port}/home", "--insecure")


@pytest.mark.parametrize("path", ["/metrics", "//readyz/", "/%6detrics"])
def test_paths_of_operators_stay_inside(edge: Edge, pem: Path, path: str) -> None:
    url = f"https://{edge.balancer.host}:{edge.balancer.tls_port}"
    assert curl(url + path, "--path-as-is", "--cacert", str(pem)).status == 404


def test_a_page_of_rows_is_compressed_and_its_condition_holds(edge: Edge) -> None:
    path = f"/content?ids={','.join(edge.ids)}"
    direct = edge.service.client.get(path)
    page = edge.get(path)
    assert (page.headers["content-encoding"], page.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert page.content == direct.content
    assert page.num_bytes_downloaded < len(direct.content) * 0.7
    assert page.headers["etag"] == f"W/{direct.headers['etag']}"
    for tag in (page.headers["etag"], direct.headers["etag"]):
        assert edge.get(path, if_none_match=tag).status_code == 304
    assert "content-encoding" not in edge.get(path, accept_encoding="identity").headers


def test_a_row_keeps_its_strong_tag_which_a_write_names(edge: Edge) -> None:
    """A browser always accepts gzip, and If-Match never holds for a weak tag."""
    path = f"/content/{edge.ids[0]}"
    row = edge.get(path)
    assert "content-encoding" not in row.headers
    assert edge.get(path, if_none_match=row.headers["etag"]).status_code == 304
    tag = {"If-Match": row.headers["etag"]}
    changed = edge.client.patch(path, json={"rating": "G"}, headers=tag)
    assert (changed.status_code, changed.headers["etag"][:1]) == (200, '"')
    assert edge.client.patch(path, json={"rating": "R"}, headers=tag).status_code == 412
    made = edge.client.post("/content", json=draft())
    assert (made.status_code, made.headers["etag"][:1]) == (201, '"')


def test_what_the_service_has_compressed_is_left_alone(edge: Edge) -> None:
    direct = edge.service.client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    through = edge.get("/openapi.json")
    assert through.headers["etag"] == direct.headers["etag"]
    assert through.num_bytes_downloaded == direct.num_bytes_downloaded
