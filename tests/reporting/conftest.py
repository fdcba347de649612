"""Headless Chromium for the tests of the page, and a small data set with predictions."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
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

    def open(self, path):
        """Open a file and wait until it has loaded."""
        self.events.clear()
        self.send("Page.navigate", url=path.as_uri())
        self.wait("document.readyState === 'complete'")

    def run(self, expression):
        """The value of a JavaScript expression."""
        result = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, condition):
        """Wait until a JavaScript condition holds, at most 20 seconds."""
        end = time.monotonic() + 20
        while not self.run(condition):
            if time.monotonic() > end:
                raise TimeoutError(condition)
            time.sleep(0.05)

    def settle(self):
        """Wait until what was asked for is drawn."""
        self.run("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")

    def press(self, key):
        """Press a key on whatever has the focus."""
        codes = {"Tab": 9, "ArrowRight": 39, "ArrowLeft": 37, "ArrowDown": 40, " ": 32}
        params = {"key": key, "windowsVirtualKeyCode": codes.get(key, ord(key[0].upper()))}
        if len(key) == 1:
            params["text"] = key
        self.send("Input.dispatchKeyEvent", type="keyDown", **params)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.settle()

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


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser, one for each worker of pytest-xdist; skips where none is installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    binary = next(filter(None, map(shutil.which, names)), None)
    if binary is None:
        pytest.skip(f"needs a browser: none of {', '.join(names)} is on the PATH")
    browser = Chromium(binary, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def disc(height, width, x, y, radius):
    """An (H, W) bool mask."""
    rows, columns = np.mgrid[:height, :width]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def rle(mask):
    """COCO's RLE dict of a mask."""
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A prepared folder of three images, 60 × 80 pixels, with predictions beside it.

    Each image has four true cells of radius 6 in a row, of the classes round, flat, round, flat. Of
    image 1 all are found, and of image 2 the first two. Of image 3 the first is found, the second
    is taken for round, the third is missed, the fourth has a poor outline, and there is one
    prediction on the background.
    """
    root = tmp_path_factory.mktemp("prepared")
    (root / "annotations").mkdir()
    (root / "images" / "train").mkdir(parents=True)
    centres = [(10, 15), (30, 15), (50, 15), (70, 15)]
    images, annotations, predictions = [], [], []

    def predict(image_id, category_id, mask, score):
        predictions.append(
            {
                "image_id": image_id,
                "category_id": category_id,
                "score": score,
                "segmentation": rle(mask),
            }
        )

    for image_id in (1, 2, 3):
        name = f"train/<{image_id}>.png"
        noise = np.random.default_rng(image_id).integers(150, 250, (60, 80, 3))
        Image.fromarray(noise.astype(np.uint8)).save(root / "images" / name)
        images.append({"id": image_id, "file_name": name, "height": 60, "width": 80})
        for place, (x, y) in enumerate(centres):
            mask = disc(60, 80, x, y, 6)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": 1 + place % 2,
                    "bbox": [x - 6, y - 6, 13, 13],
                    "area": int(mask.sum()),
                    "iscrowd": 0,
                    "segmentation": rle(mask),
                }
            )
            if image_id == 1 or (image_id == 2 and place < 2) or (image_id == 3 and place == 0):
                predict(image_id, 1 + place % 2, mask, 0.9 - 0.01 * len(predictions))
    predict(3, 1, disc(60, 80, 30, 15, 6), 0.8)
    predict(3, 2, disc(60, 80, 70, 15, 3), 0.7)
    predict(3, 2, disc(60, 80, 40, 45, 5), 0.6)
    predict(3, 2, disc(60, 80, 20, 45, 5), 0.2)
    categories = [{"id": 1, "name": "round"}, {"id": 2, "name": "flat"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / "val.json").write_text(json.dumps(content))
    (root / "annotations" / "test.json").write_text(json.dumps(content | {"annotations": []}))
    (root / "predictions.json").write_text(json.dumps(predictions))
    (root / "audit.json").write_text(
        json.dumps(
            {
                "channel_order": {"order": "bgr", "decided_by": "vote"},
                "split": {"file": "splits/a.json", "groups": 3},
                "warnings": ["No training image has the class <flat>."],
            }
        )
    )
    return root
