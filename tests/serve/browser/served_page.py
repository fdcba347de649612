"""The page of a running server, as a user sees and uses it."""

from __future__ import annotations

import base64

import numpy as np
from headless_chromium import Chromium

from cellseg_mm.structures.palette import rgb

MODULE = "import('/static/js/main.js')"


class Page:
    """The page, opened with :meth:`open`."""

    def __init__(self, tab: Chromium, address: str) -> None:
        self.tab = tab
        self.address = address

    def open(self, job: str = "") -> None:
        """Load the page; with a job, until its cells are drawn."""
        self.tab.open(self.address + (f"#{job}" if job else ""))
        self.tab.run(f"{MODULE}.then((page) => {{ window.page = page; }})")
        if job:
            self.settle()

    def settle(self) -> None:
        """Wait until image and cells are drawn, and nothing moves."""
        self.tab.wait("page.layer.settled && page.viewer.osd.world.getItemAt(0)?.getFullyLoaded()")
        self.tab.wait(
            "(async () => { const before = JSON.stringify(page.viewer.view());"
            " await new Promise((done) => setTimeout(done, 100));"
            " return before === JSON.stringify(page.viewer.view()) && page.layer.settled; })()"
        )
        self.tab.settle()

    def hold_second_cells(self) -> None:
        """Let the worker know of a second result only at :meth:`release_second_cells`."""
        self.tab.run(
            "window.post = Worker.prototype.postMessage; window.held = null; window.opened = false;"
            " Worker.prototype.postMessage = function (message, ...more) {"
            " if (message.type !== 'open' || message.layer !== 'b')"
            " return window.post.call(this, message, ...more);"
            " window.held = () => window.post.call(this, message, ...more);"
            " this.addEventListener('message', ({ data }) => {"
            " window.opened ||= data.type === 'opened' && data.layer === 'b'; }); }"
        )

    def release_second_cells(self) -> None:
        """Let the worker know, and wait until it has the cells."""
        self.tab.wait("window.held !== null")
        self.tab.run("window.held()")
        self.tab.wait("window.opened")

    def text(self, selector: str) -> str:
        return self.tab.run(f"document.querySelector({selector!r}).innerText")

    def wait_for(self, selector: str, pattern: str, seconds: float = 20) -> str:
        """Wait until the text of an element matches; returns it."""
        test = (
            f"new RegExp({pattern!r}).test(document.querySelector({selector!r})?.innerText ?? '')"
        )
        self.tab.wait(test, seconds)
        return self.text(selector)

    def on_screen(self, x: float, y: float) -> tuple[float, float]:
        """Where OpenSeadragon says that a point of the image is, in the window."""
        place = self.tab.run(
            "(() => { const { osd } = page.viewer, box = osd.element.getBoundingClientRect();"
            f" const point = osd.viewport.imageToViewportCoordinates({x}, {y});"
            " const { x, y } = osd.viewport.viewportToViewerElementCoordinates(point);"
            " return [box.x + x, box.y + y]; })()"
        )
        return place[0], place[1]

    def cells(self) -> np.ndarray:
        """(H, W, 4) uint8: the canvas of the cells."""
        width, height, data = self.tab.run(
            "(() => { const { canvas } = page.layer;"
            " const { data } = canvas.getContext('2d')"
            ".getImageData(0, 0, canvas.width, canvas.height);"
            " let text = ''; for (let i = 0; i < data.length; i += 32768)"
            " text += String.fromCharCode(...data.subarray(i, i + 32768));"
            " return [canvas.width, canvas.height, btoa(text)]; })()"
        )
        pixels = np.frombuffer(base64.b64decode(data), np.uint8)
        return pixels.reshape(height, width, 4)

    def has_colour(self, cells: np.ndarray, points: np.ndarray, colour: str) -> np.ndarray:
        """Whether a colour is drawn within 2 pixels of each of (N, 2) points of the image."""
        box = self.tab.run("(({ x, y }) => [x, y])(page.layer.canvas.getBoundingClientRect())")
        near = np.zeros(len(points), bool)
        distance = np.abs(cells[..., :3].astype(int) - np.array(rgb(colour))).max(-1)
        drawn = (cells[..., 3] > 100) & (distance < 60)
        for index, point in enumerate(points):
            x, y = (round(p - b) for p, b in zip(self.on_screen(*point), box, strict=True))
            if 2 <= x < cells.shape[1] - 2 and 2 <= y < cells.shape[0] - 2:
                near[index] = drawn[y - 2 : y + 3, x - 2 : x + 3].any()
        return near

    def press(self, key: str) -> None:
        self.tab.press(key)
