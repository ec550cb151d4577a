"""A headless Chromium, driven over its DevTools pipe: what a test of a page needs, and no more.

Messages are JSON, each ended by a NUL, on descriptors 3 and 4 of the browser; the protocol is at
https://chromedevtools.github.io/devtools-protocol/.
"""

import base64
import json
import os
import select
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.lab.spawn import spawn

BOUND_S = 20.0
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # root has none; the only pages it sees are ours
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--mute-audio",
)
# the browser wants its pipe on 3 and 4, whatever numbers it has here
LAUNCHER = (
    "import fcntl, os, sys;"
    "ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]];"
    "os.dup2(ends[0], 3); os.dup2(ends[1], 4); os.execv(sys.argv[3], sys.argv[3:])"
)
KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), "End": (35, ""), "Home": (36, "")}
ARROWS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


def program() -> str | None:
    """Where Chromium is; None where it is not."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def page(folder: Path) -> Iterator["Page"]:
    """One tab of a browser of its own, whose profile and log are in ``folder``."""
    path = program()
    assert path is not None
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    launch = [sys.executable, "-c", LAUNCHER, str(theirs_in), str(theirs_out)]
    command = [*launch, path, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    environment = {**os.environ, "HOME": str(folder)}
    process = spawn(
        command,
        environment,
        log_path=folder / "chromium.log",
        pass_fds=(theirs_in, theirs_out),
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        tab = Page(ours_in, ours_out)
        tab.attach()
        yield tab
        with suppress(BrokenPipeError, EOFError):
            tab.call("Browser.close", session=False)
    finally:
        os.close(ours_in)
        os.close(ours_out)
        with suppress(TimeoutError):
            _wait(lambda: process.poll() is not None, 5.0)
        process.kill()
        process.wait()


class Page:
    """A tab. Every wait is bounded by ``BOUND_S`` seconds and ends in TimeoutError."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._buffer = b""
        self._session: str | None = None
        self._count = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Path and headers, in small letters, of each request that went out."""
        self.faults: list[str] = []
        """What the page's scripts raised, and what its policy forbade."""
        self.answer: Callable[[str], tuple[int, dict[str, str], str] | None] = lambda path: None
        """May answer in the place of the service, once ``intercept`` was called."""

    def attach(self) -> None:
        targets = self.call("Target.getTargets", session=False)["targetInfos"]
        tab = next(target for target in targets if target["type"] == "page")
        attached = self.call(
            "Target.attachToTarget", session=False, targetId=tab["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, *, session: bool = True, **parameters: Any) -> dict[str, Any]:
        """A command's result; raises RuntimeError with what the browser says of a failed one."""
        number = self._send(method, parameters, session)
        deadline = time.monotonic() + BOUND_S
        while number not in self._answers:
            self._receive(deadline)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, awaited where it is a promise."""
        result = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, expression: str) -> Any:
        """The expression's value once it is true."""
        found: list[Any] = []

        def look() -> bool:
            found[:] = [self.evaluate(expression)]
            return bool(found[0])

        try:
            _wait(look, BOUND_S)
        except TimeoutError:
            raise TimeoutError(f"never true: {expression}") from None
        return found[0]

    def open(self, url: str, width: int = 1280, height: int = 800) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Page.navigate", url=url)
        self.until(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def prefer(self, **features: str) -> None:
        """Set media features, such as ``prefers_color_scheme="light"``; none: those of before."""
        named = [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()
        ]
        self.call("Emulation.setEmulatedMedia", features=named)

    def intercept(self, pattern: str) -> None:
        self.call("Fetch.enable", patterns=[{"urlPattern": pattern}])

    def move_to(self, selector: str) -> None:
        """The pointer onto the middle of the element."""
        x, y = self._middle(selector)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector: str) -> None:
        self.move_to(selector)
        x, y = self._middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        code, text = KEYS[key] if key in KEYS else (ARROWS[key], "")
        more: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        down: dict[str, Any] = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        self.call("Input.dispatchKeyEvent", **down, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", **more)

    def _middle(self, selector: str) -> tuple[float, float]:
        rect = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.evaluate(
            f"(at => [at.left + at.width / 2, at.top + at.height / 2])({rect})",
        )
        return x, y

    def _send(self, method: str, parameters: dict[str, Any], session: bool = True) -> int:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._sink, data) :]
        return self._count

    def _receive(self, deadline: float) -> None:
        """Takes the next message, and whatever it is, deals with it."""
        while b"\0" not in self._buffer:
            ready = select.select([self._source], [], [], max(0.0, deadline - time.monotonic()))
            if not ready[0]:
                raise TimeoutError("the browser is silent")
            chunk = os.read(self._source, 1 << 20)
            if not chunk:
                raise EOFError("the browser is gone")
            self._buffer += chunk
        text, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(text)
        if "id" in message:
            self._answers[message["id"]] = message
        else:
            self._event(message["method"], message["params"])

    def _event(self, method: str, event: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            path = "/" + event["request"]["url"].split("/", 3)[-1]
            headers = event["request"]["headers"]
            self.requests.append((path, {name.lower(): headers[name] for name in headers}))
        elif method == "Runtime.exceptionThrown":
            details = event["exceptionDetails"]
            self.faults.append(
                details.get("exception", details).get("description", details["text"])
            )
        elif method == "Log.entryAdded" and event["entry"]["source"] == "security":
            self.faults.append(event["entry"]["text"])
        elif method == "Fetch.requestPaused":
            self._paused(event)

    def _paused(self, event: dict[str, Any]) -> None:
        request = {"requestId": event["requestId"]}
        answer = self.answer("/" + event["request"]["url"].split("/", 3)[-1])
        if answer is None:
            self._send("Fetch.continueRequest", request)
            return
        status, headers, body = answer
        listed = [{"name": name, "value": value} for name, value in headers.items()]
        coded = base64.b64encode(body.encode()).decode()
        more = {"responseCode": status, "responseHeaders": listed, "body": coded}
        self._send("Fetch.fulfillRequest", {**request, **more})


def _wait(is_done: Callable[[], bool], bound_s: float) -> None:
    deadline = time.monotonic() + bound_s
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.03)
