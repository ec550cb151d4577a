"""Drill HTTPS: ``stack.tls.yml`` is deployed on top of a running site."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.lab.processes import free_ports
from bench.lab.spawn import ServerError
from bench.lab.targets import installed
from tests.deploy.drills import Row, ids_of
from tests.deploy.engine import until
from tests.deploy.site import STACK, Site

PAGE_ROWS = 30


class Seen(NamedTuple):
    """What curl saw of an answer: HTTP's version, the status, the target of a redirect, bytes."""

    version: str
    status: int
    redirect: str
    bytes: int


def certificate(name: str = "localhost") -> bytes:
    """A self-signed certificate and its key, for this name and 127.0.0.1, as a PEM."""
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder, "key.pem")
        command = [installed("openssl"), "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
        command += ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={name}"]
        command += ["-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", "-keyout", str(key)]
        done = subprocess.run(command, capture_output=True)
        if done.returncode:
            raise ServerError(f"openssl: {done.stderr.decode()[-500:]}")
        return done.stdout + key.read_bytes()


def curl(url: str, *options: str) -> Seen:
    """Ask once; raises ServerError without an answer."""
    form = "%{http_version} %{http_code} [%{redirect_url}] %{size_download}"
    flags = ("--silent", "--show-error", "--noproxy", "*", "--max-time", "10", "--http2")
    command = [installed("curl"), *flags, "--output", "/dev/null", "--write-out", form]
    done = subprocess.run([*command, *options, url], capture_output=True, text=True)
    if done.returncode:
        raise ServerError(f"curl {url}: {done.stderr.strip()}")
    version, status, redirect, size = done.stdout.split(" ")
    return Seen(version, int(status), redirect[1:-1], int(size))


def https(site: Site) -> Iterator[Row]:
    """The last drill of a site, because the plain port only redirects from now on."""
    ids = ids_of(site, PAGE_ROWS)
    (port,) = free_ports(1)
    pem = certificate()
    site.engine("secret", "create", f"{STACK}_tls", "-", input=pem)
    site.files = (*site.files, "stack.tls.yml")
    site.variables["PUBLISHED_TLS_PORT"] = str(port)
    site.apply()
    with tempfile.NamedTemporaryFile() as authority:
        authority.write(pem)
        authority.flush()
        url, trusted = f"https://127.0.0.1:{port}", ("--cacert", authority.name)

        def serves() -> bool:
            try:
                return curl(f"{url}/content/{ids[0]}", *trusted).status == 200
            except ServerError:
                return False

        taken_s = until("HTTPS is served", serves, 120)
        page = f"{url}/content?ids={','.join(ids)}"
        row = curl(f"{url}/content/{ids[0]}", *trusted)
        plain, packed = (
            curl(page, *trusted),
            curl(page, *trusted, "--header", "Accept-Encoding: gzip"),
        )
        held = curl(page, *trusted, "--header", "If-None-Match: *")
    sent = curl(f"{site.url}/home")
    saved = 1 - packed.bytes / plain.bytes
    yield Row(
        "`-c stack.tls.yml` deployed on top, with a PEM in a secret",
        "HTTP/2 by TLS; a page of rows compressed, or 304; the plain port redirects",
        f"after {taken_s:.0f} s HTTP/{row.version} {row.status}; {PAGE_ROWS} rows {saved:.0%} "
        f"smaller, {held.status}; {sent.status} to {sent.redirect}",
        (row.version, row.status, held.status) == ("2", 200, 304)
        and saved > 0.3
        and (sent.status, sent.redirect) == (308, "https://127.0.0.1/home"),
    )
