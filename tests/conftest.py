"""Fixtures shared by all tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from headless_chromium import Chromium
from warm_python import WarmPython

# One thread a test process, since there is one process a core.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from mmengine.registry import init_default_scope
from mmengine.utils import manager

import cellseg_mm  # noqa: F401  (finds the operators for mmcv.ops, whatever test comes first)

_REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _mmdet_scope() -> None:
    """Names in configs mean MMDetection's classes, whatever scope the test before has set."""
    init_default_scope("mmdet")


@pytest.fixture(autouse=True)
def _free_lock() -> Iterator[None]:
    """MMEngine keeps its lock when a logger cannot be made, and every other thread waits for it."""
    yield
    kept = 0
    while manager._lock._is_owned():
        manager._lock.release()
        kept += 1
    assert not kept, "MMEngine's lock was left to this thread"


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root folder of the project."""
    return _REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: `$SHARED_DATA`, or `shared/data` beside the checkout."""
    folder = Path(os.environ.get("SHARED_DATA", _REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the real data sets, which are not at {folder}")
    return folder


RunPython = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run_python() -> Iterator[RunPython]:
    """Runs a script of the project as a user does: ``run_python("tools/test.py", CONFIG, …)``.

    Scripts and ``-m cellseg_mm`` run in a process that has imported the libraries, other calls in
    one of their own. With ``check=True``, an exit code other than 0 fails the test with what the
    script wrote.
    """
    with contextlib.ExitStack() as closing:

        @lru_cache
        def warm() -> WarmPython:
            return closing.enter_context(contextlib.closing(WarmPython()))

        def run(
            *arguments: object, check: bool = False, timeout: float = 600
        ) -> subprocess.CompletedProcess[str]:
            command = list(map(str, arguments))
            # This checkout, if there are more.
            environment = {**os.environ, "PYTHONPATH": str(_REPOSITORY)}
            if command[0].endswith(".py") or command[:2] == ["-m", "cellseg_mm"]:
                result = warm().run(command, environment, timeout)
            else:
                result = subprocess.run(
                    [sys.executable, *command],
                    cwd=_REPOSITORY,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=timeout,
                    check=False,
                )
            assert not (check and result.returncode), result.stdout + result.stderr
            return result

        yield run


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser, one for each worker of pytest-xdist; skips where none is installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    binary = next(filter(None, map(shutil.which, names)), None)
    if binary is None:
        pytest.skip(f"needs a browser: none of {', '.join(names)} is on the PATH")
    browser = Chromium(binary, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def prepared_data(tmp_path_factory: pytest.TempPathFactory, run_python: RunPython) -> Path:
    """A small synthetic data set in the prepared layout: 6 train, 2 val, 2 test images."""
    from cellseg_mm.preparation.prepare_dataset import PrepareOptions, prepare_dataset

    folder = tmp_path_factory.mktemp("prepared")
    arguments = ["--images", 8, "--test-images", 2, "--size", 96, "--cells", 14]
    run_python("data_prep/synthesize.py", folder / "raw", *arguments, check=True)
    prepare_dataset(
        PrepareOptions(raw=folder / "raw", out=folder / "cell", val_fraction=0.25, workers=1)
    )
    return folder / "cell"


class _Call:
    """Pickles as the call of a function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


@pytest.fixture(params=["reduce", "climb"])
def hostile(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[_Call]:
    """What writes a file when it is unpickled; put it into a checkpoint. The file must not appear.

    "reduce" names ``exec`` outright. "climb" names only what MMEngine's list of safe globals holds:
    with ``getattr`` it climbs from a function of torch's to ``exec``.
    """
    from torch._tensor import _rebuild_from_type_v2
    from torch._utils import _rebuild_tensor

    marker = tmp_path / "the-code-ran"
    code = f"open({str(marker)!r}, 'w').close()"
    if request.param == "reduce":
        payload = _Call(exec, code)
    else:
        get = _Call(getattr, _Call(getattr, _rebuild_tensor, "__builtins__"), "get")
        builtin = _Call(getattr, get, "__class__")
        execute = _Call(_rebuild_from_type_v2, get, builtin, ("exec",), {})
        nothing = _Call(getattr, None, "__class__")
        payload = _Call(_rebuild_from_type_v2, execute, nothing, (code,), {})
    payload.marker = marker
    yield payload
    assert not marker.exists(), "code from a checkpoint ran"


BUNDLE_CLASSES = ("round", "long", "dark", "large")


@pytest.fixture(scope="session")
def bundle(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A published model of random weights that sees cells everywhere, at 0.25 µm per pixel."""
    import torch
    from mmdet.registry import MODELS
    from mmengine.config import Config

    import cellseg_mm.register  # noqa: F401
    from cellseg_mm.runs.model_bundle import find_model
    from cellseg_mm.runs.publish_model import ModelCard, publish_model

    folder = tmp_path_factory.mktemp("run")
    init_default_scope("mmdet")
    config = Config.fromfile(repository / "configs/mask-rcnn_efficientnet-lite0_fpn_cell.py")
    config.dump(folder / "config.py")
    config.model.backbone.init_cfg = None
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    with torch.no_grad():
        model.roi_head.bbox_head.fc_cls.weight.mul_(80)
        model.roi_head.mask_head.conv_logits.weight.mul_(10)
    meta = {"dataset_meta": {"classes": BUNDLE_CLASSES}}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, folder / "best.pth")
    texts = ("summary", "licence", "data", "split", "command", "not_for")
    card = ModelCard(
        **dict.fromkeys(texts, "-"),
        name="random",
        mpp=0.25,
        thresholds=dict.fromkeys(BUNDLE_CLASSES, 0.5) | {"dark": 0.6},
        scores={},
    )
    return publish_model(find_model(folder / "best.pth"), card, folder / "random")
