"""Workers on the machines of a Ray cluster, each with a GPU or some cores; see docs/scale.md."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellseg_mm.errors import UserError, printable
from cellseg_mm.files.atomic_write import unfinished_file
from cellseg_mm.inference.batch.executor import Outcomes
from cellseg_mm.inference.batch.find_images import NamedImage
from cellseg_mm.inference.batch.image_task import ImageOutcome, ImageTask
from cellseg_mm.inference.executors.image_queue import ImageQueue, Turn
from cellseg_mm.inference.executors.ray_cluster import connected, import_ray
from cellseg_mm.inference.executors.worker_segmenter import WorkerModel
from cellseg_mm.runs.package_versions import package_versions

_TICK = 0.05  # seconds; asleep, the process hears signals, which it may not while Ray waits
_COUNT_AGAIN = 1.0  # seconds until the cluster is looked at again
_PAUSE = 60.0  # seconds until a worker is asked for again when one could not start
_SILENCE = 60.0  # seconds without a worker until that is said
_PATIENCE = 10.0  # seconds that killed workers have to be gone
_LEFT = "its machine has left the cluster"


class RayActors:
    """Does images on a Ray cluster; see :class:`~cellseg_mm.inference.batch.executor.Executor`.

    Each worker is an actor with a GPU of its own; if the cluster has none, or the user wants the
    CPU, with some cores. All are of one kind, for a GPU's sums differ from a CPU's in their last
    bits. Machines may come and go: one worker more than there is room for is always asked for, and
    an image is handed only to one that has started. Ray itself restarts and retries nothing, so
    that :class:`ImageQueue` counts.

    Args:
        model: What they load.
        address: Of the cluster, ``HOST:PORT``; "auto" = ``$RAY_ADDRESS``, or that of this machine.
        cores: How many a worker has.

    Raises:
        UserError: Ray is not installed.
    """

    def __init__(self, model: WorkerModel, address: str, cores: int = 1) -> None:
        import_ray()
        self._model = model
        self._address = address
        self._cores = cores

    def run(self, task: ImageTask, images: Sequence[NamedImage]) -> Outcomes:
        """See :class:`~cellseg_mm.inference.batch.executor.Executor`."""
        if not images:
            return
        # A hidden file tells the folder of the results from one of the same name elsewhere.
        with connected(self._address), unfinished_file(task.out / "job") as mark:
            seen = (mark, images[0].path)
            orders = Orders(self._model, task, Path.cwd(), seen, self._cores, package_versions())
            # The largest files first: one that is begun last would keep the cluster waiting.
            queue = ImageQueue(sorted(images, key=_size, reverse=True))
            crew = _Crew(orders, queue)
            try:
                yield from crew.work()
            finally:
                crew.end()


@dataclass(frozen=True)
class Orders:
    """What a worker is told at its start.

    Attributes:
        model: What to load.
        task: What to do with each image.
        folder: The working folder, to which paths are relative.
        seen: Files that it must see, or it would write where nobody looks.
        cores: How many it may use.
        versions: Of the packages that decide on results.
    """

    model: WorkerModel
    task: ImageTask
    folder: Path
    seen: tuple[Path, ...]
    cores: int
    versions: dict[str, str | None]


class RayWorker:
    """A worker, in a process that Ray starts on some machine."""

    def start(self, orders: Orders) -> str | None:
        """Load the model.

        Returns:
            None, or a sentence that says why this machine cannot work.
        """
        import socket

        import cv2
        import torch

        try:
            _check_machine(orders)
            torch.set_num_threads(orders.cores)
            cv2.setNumThreads(orders.cores)
            gpu = 0 if torch.cuda.is_available() else None
            self._segmenter = orders.model.load(orders.task.options.views, gpu)
        except (UserError, OSError) as error:
            return f"On {socket.gethostname()}: {error}"
        self._task = orders.task
        return None

    def attempt(self, turn: Turn) -> ImageOutcome:
        """Segment an image, or say why not."""
        return self._task.attempt(self._segmenter, turn.image, turn.again)


def _check_machine(orders: Orders) -> None:
    found = package_versions()
    for name, wanted in orders.versions.items():
        if (version := found.get(name)) != wanted:
            raise UserError(
                f"{name} is {version or 'not installed'}, but {wanted} where the job was started: "
                "results could differ, so install the same versions on all machines."
            )
    if orders.folder.is_dir():
        os.chdir(orders.folder)
    for path in orders.seen:
        if not path.exists():
            raise UserError(
                f"{(orders.folder / path).parent} is not the folder that it is where the job was "
                "started: images, results and the working folder must lie on a file system that "
                "all machines share, at the same path."
            )


class _Member:
    """A worker as the crew knows it; `turn` is the image that it has, None while it starts."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.turn: Turn | None = None


class _Crew:
    """The workers of a job."""

    def __init__(self, orders: Orders, queue: ImageQueue) -> None:
        self._ray = import_ray()
        self._queue = queue
        self._members: dict[Any, _Member] = {}  # by the answer that each still owes
        self._hire_after, self._tell_after = 0.0, time.monotonic() + _SILENCE
        self._orders = self._ray.put(orders)
        device, gpus = orders.model.device, self._ray.cluster_resources().get("GPU", 0)
        on_gpus = device.startswith("cuda") or (device == "auto" and gpus > 0)
        self._unit = ("GPU", 1) if on_gpus else ("CPU", orders.cores)
        self._kind = self._ray.remote(
            num_cpus=orders.cores, num_gpus=int(on_gpus), max_restarts=0, max_task_retries=0
        )(RayWorker)

    def work(self) -> Outcomes:
        """Give what became of each image, until none waits and nobody has one."""
        while len(self._queue) or self._busy:
            self._hire()
            answers = self._answers()
            if not answers:
                self._wait()
            for answer in answers:
                member = self._members.pop(answer)
                outcome = self._hear(member, answer)
                if outcome is not None:
                    yield outcome

    def end(self) -> None:
        """Kill all workers, and wait for their ends: files of living ones are not removed."""
        for member in self._members.values():
            self._ray.kill(member.actor)
        limit = time.monotonic() + _PATIENCE
        while self._busy and time.monotonic() < limit:
            for answer in self._answers():
                del self._members[answer]
            time.sleep(_TICK)

    def _wait(self) -> None:
        time.sleep(_TICK)
        if self._busy:
            self._tell_after = time.monotonic() + _SILENCE
        if time.monotonic() < self._tell_after:
            return
        resource, need = self._unit
        has = self._ray.cluster_resources().get(resource, 0)
        _tell(f"Still waiting for a worker: it needs {need} {resource}, the cluster has {has:.0f}.")
        self._tell_after = time.monotonic() + _SILENCE

    @property
    def _busy(self) -> int:
        return sum(member.turn is not None for member in self._members.values())

    def _answers(self) -> list[Any]:
        """Those that are there."""
        waiting = list(self._members)
        if not waiting:
            return []
        done: list[Any] = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
        return done

    def _hire(self) -> None:
        """Ask for workers: as many as there is room for, and one that waits for more."""
        if time.monotonic() < self._hire_after:
            return
        self._hire_after = time.monotonic() + _COUNT_AGAIN
        resource, need = self._unit
        room = int(self._ray.cluster_resources().get(resource, 0) // need)
        while len(self._members) < min(room + 1, self._busy + len(self._queue)):
            member = _Member(self._kind.remote())
            self._members[member.actor.start.remote(self._orders)] = member

    def _hear(self, member: _Member, answer: Any) -> ImageOutcome | None:
        """Take an answer, and hand out the next image.

        Raises:
            UserError: A worker cannot start, and no other has.
        """
        try:
            said = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            return self._lose(member, error)
        outcome = None
        if member.turn is not None:
            outcome = said
        elif said is None:
            self._queue.started()
        elif self._busy:
            self._pause(said)
            return None
        else:
            raise UserError(said)
        member.turn = self._queue.take()
        if member.turn is None:
            self._ray.kill(member.actor)  # what it holds is free for others
        else:
            self._members[member.actor.attempt.remote(member.turn)] = member
        return outcome

    def _lose(self, member: _Member, error: Exception) -> ImageOutcome | None:
        self._ray.kill(member.actor)  # if it only cannot be reached, it must not go on
        why = _why(error)
        if member.turn is not None:
            _tell(f"A worker was lost at {member.turn.image.path}, since {why}.")
            return self._queue.lose(member.turn.image, why)
        if why == _LEFT:
            return None  # the next one is asked for, or waited for
        if self._busy:
            self._pause(f"A worker was lost at its start, since {why}.")
        else:
            self._queue.fail_start(why)
        return None

    def _pause(self, sentence: str) -> None:
        """Do without a worker that could not start, for a while: others can."""
        _tell(f"{sentence} The others go on.")
        self._hire_after = time.monotonic() + _PAUSE


def _why(error: Exception) -> str:
    """Why a worker was lost, as a clause: what Ray says of it has many lines."""
    cause = getattr(error, "cause", None)
    if cause is not None:
        return f"{type(cause).__name__}: {cause}"
    text = str(error)
    if "node has died" in text:
        return _LEFT
    if "ModuleNotFoundError" in text:
        return "cellseg-mm is not installed on its machine"
    if type(error).__name__ == "OutOfMemoryError":
        return "its machine was short of memory"
    return "its process has died, as when memory is short or its machine is lost"


def _size(image: NamedImage) -> int:
    return image.path.stat().st_size


def _tell(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)
