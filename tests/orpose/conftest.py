"""A real browser without a window, for what `orpose replay` writes; a graph that `orpose export` made."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import io
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # root has none
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--use-angle=swiftshader",  # WebGL on the processor
    "--enable-unsafe-swiftshader",
    "--remote-debugging-pipe",
    "about:blank",
)


class Browser:
    """Chromium, driven through its debugging pipe: JSON messages that end in a zero byte."""

    def __init__(self, program: str, profile: Path) -> None:
        to_read, self._to_browser = os.pipe()
        self._from_browser, to_write = os.pipe()

        def as_three_and_four() -> None:
            # Copies first, under numbers that are free: what is 3 or 4 already must not be overwritten.
            copies = [fcntl.fcntl(end, fcntl.F_DUPFD, 100) for end in (to_read, to_write)]
            for number, copy in zip((3, 4), copies, strict=True):
                os.dup2(copy, number)
            os.closerange(5, 256)

        self._process = subprocess.Popen(
            [program, f"--user-data-dir={profile}", *_OPTIONS],
            preexec_fn=as_three_and_four,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        #: Events of the page: errors, requests.
        self.events: list[dict[str, Any]] = []

    def open(self, path: Path, width: int = 1200, height: int = 900) -> None:
        """Loads a file and waits until it and its scripts are done."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        self._call("Page.navigate", url=path.resolve().as_uri())
        self.until("document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, condition: str, timeout_s: float = 90.0) -> None:
        """Waits until an expression in the page is true."""
        deadline_s = time.monotonic() + timeout_s
        while not self.evaluate(condition):
            assert time.monotonic() < deadline_s, f"waited in vain for {condition}"
            time.sleep(0.1)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Moves the mouse with its left button down; px of the window."""
        self._mouse("mouseMoved", *start, buttons=0)
        self._mouse("mousePressed", *start, buttons=1)
        for step in range(1, 11):
            x, y = (a + (b - a) * step / 10 for a, b in zip(start, end, strict=True))
            self._mouse("mouseMoved", x, y, buttons=1)
            self.evaluate("new Promise(done => requestAnimationFrame(() => done(true)))")
        self._mouse("mouseReleased", *end, buttons=0)

    def screenshot(self, path: Path, whole_page: bool = False) -> None:
        found = self._call("Page.captureScreenshot", captureBeyondViewport=whole_page)
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to_browser)
        os.close(self._from_browser)

    def _mouse(self, kind: str, x: float, y: float, buttons: int) -> None:
        button = "none" if kind == "mouseMoved" and not buttons else "left"
        self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=buttons, clickCount=1)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session and not method.startswith("Target."):
            message["sessionId"] = self._session
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self.events.append(answer)

    def _receive(self, timeout_s: float = 120.0) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from_browser], [], [], timeout_s)
            assert ready, "the browser does not answer"
            chunk = os.read(self._from_browser, 1 << 20)
            assert chunk, "the browser ended"
            self._buffer += chunk
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)


@pytest.fixture(scope="module")
def open_page(tmp_path_factory) -> Iterator[Callable[..., Browser]]:
    """`open_page(path)` gives a browser that shows the file; skips where there is no browser."""
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser ({', '.join(BROWSERS)})")
    opened: list[Browser] = []

    def open_(path: Path, **size: int) -> Browser:
        browser = Browser(program, tmp_path_factory.mktemp("profile"))
        opened.append(browser)
        browser.open(path, **size)
        return browser

    yield open_
    for browser in opened:
        browser.close()


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> tuple[Path, Path, str]:
    """Weights, the graph that `orpose export` made of them, and what it printed; not to be changed."""
    pytest.importorskip("onnxscript")
    from orpose.main import main
    from orpose_models.network import build_student, get_preset, save_weights

    folder = tmp_path_factory.mktemp("exported")
    weights, graph = folder / "first.safetensors", folder / "out" / "first.onnx"
    save_weights(build_student(get_preset("lite").with_lifter_input("confidence")), weights, input_size=(128, 96))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["export", "--model", str(weights), "--out", str(graph), "--frame-size", "160x90"]) == 0
    return weights, graph, printed.getvalue()
