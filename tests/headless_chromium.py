"""Headless Chromium, for the tests of pages."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import subprocess
import time

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # A page that nobody looks at would run at a low priority.
    *("--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe"),
)


class Chromium:
    """A tab of a headless Chromium, driven through the DevTools protocol over a pipe."""

    def __init__(self, binary, profile):
        # Chromium reads commands from descriptor 3 and writes to 4. Ours lie above, so that putting
        # one there does not close the other.
        low = (*os.pipe(), *os.pipe())
        pipes = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in low]
        command_read, self._commands, self._events, event_write = pipes

        def connect():
            os.dup2(command_read, 3)
            os.dup2(event_write, 4)

        self._process = subprocess.Popen(
            [binary, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=connect,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # With a copy of its ends left here, the end of Chromium would not end the pipe.
        for fd in (*low, command_read, event_write):
            os.close(fd)
        self._buffer = b""
        self._number = 0
        self._session = None
        self.events = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = session["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method, **params):
        """Give a command and return its result; events on the way are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _receive(self):
        while b"\0" not in self._buffer:
            chunk = os.read(self._events, 1 << 20)
            if not chunk:
                raise RuntimeError("Chromium has ended.")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def open(self, page):
        """Open a file (a Path) or an address (a str), anew, and wait until it has loaded."""
        self.send("Page.navigate", url="about:blank")  # else a new #fragment would load nothing
        self.events.clear()
        self.send("Page.navigate", url=page if isinstance(page, str) else page.as_uri())
        self.wait("document.readyState === 'complete'")

    def run(self, expression):
        """The value of a JavaScript expression."""
        result = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, condition, seconds=60):
        """Wait until a JavaScript condition holds."""
        end = time.monotonic() + seconds
        while not self.run(condition):
            if time.monotonic() > end:
                raise TimeoutError(condition)
            time.sleep(0.05)

    def settle(self):
        """Wait until what was asked for is drawn."""
        self.run("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")

    def press(self, key):
        """Press a key on whatever has the focus."""
        codes = {"Backspace": 8, "Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
        codes |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        params = {"key": key, "windowsVirtualKeyCode": codes.get(key, ord(key[0].upper()))}
        if len(key) == 1:
            params["text"] = key
        self.send("Input.dispatchKeyEvent", type="keyDown", **params)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.settle()

    def click(self, x, y, clicks=1):
        """Click at a point of the window, in CSS pixels."""
        for number in range(1, clicks + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self._mouse(kind, x, y, clickCount=number)
        self.settle()

    def drag(self, *points, seconds=0.2):
        """Press at the first point, move on to the others, and let go at the last."""
        self._mouse("mousePressed", *points[0], clickCount=1)
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            for step in range(1, 9):
                share = step / 8
                self._mouse("mouseMoved", x0 + share * (x1 - x0), y0 + share * (y1 - y0), buttons=1)
                time.sleep(seconds / 8 / (len(points) - 1))
        self._mouse("mouseReleased", *points[-1], clickCount=1)
        self.settle()

    def wheel(self, x, y, delta):
        """Turn the wheel at a point of the window; a negative delta turns it away from the user."""
        self._mouse("mouseWheel", x, y, deltaX=0, deltaY=delta)

    def _mouse(self, kind, x, y, **params):
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", **params)

    def choose_files(self, selector, *paths):
        """Choose files in an input element, as in its dialog."""
        node = self.send("Runtime.evaluate", expression=f"document.querySelector({selector!r})")
        files = [str(path) for path in paths]
        self.send("DOM.setFileInputFiles", files=files, objectId=node["result"]["objectId"])

    def drop_files(self, x, y, *paths):
        """Drop files at a point of the window."""
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.send("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def download_to(self, folder):
        """Let downloads appear in a folder."""
        self.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def resize(self, width, height, dark=False, mobile=False):
        """Set the size of the window in CSS pixels and the colour scheme."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if mobile else 1,
            mobile=mobile,
        )
        self.settle()

    def screenshot(self, path, whole=False):
        """Write a PNG of the window, or of the whole page."""
        data = self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    @property
    def complaints(self):
        """What went to the console as a warning or error, and uncaught exceptions."""
        found = []
        for event in self.events:
            params = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"])
            elif event["method"] == "Runtime.consoleAPICalled":
                if params["type"] in ("error", "warning", "assert"):
                    found.append(params)
            elif event["method"] == "Log.entryAdded":
                found.append(params["entry"])
        return found

    @property
    def requests(self):
        """Every URL that the page asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def close(self):
        """End the browser."""
        self._process.terminate()
        self._process.wait(timeout=20)
        os.close(self._commands)
        os.close(self._events)
