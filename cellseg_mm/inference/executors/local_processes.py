"""Several processes of this machine, each with its own model and a share of the cores."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from cellseg_mm.errors import UserError
from cellseg_mm.inference.batch.executor import Outcomes
from cellseg_mm.inference.batch.find_images import NamedImage
from cellseg_mm.inference.batch.image_task import ImageOutcome, ImageTask
from cellseg_mm.inference.executors.image_queue import ImageQueue, Turn
from cellseg_mm.inference.executors.worker_segmenter import WorkerModel
from cellseg_mm.preparation.ordered_map import end_with_parent
from cellseg_mm.runs.stop_signals import Terminated

_READY = "ready"
_PATIENCE = 10  # seconds that a worker has to remove its unfinished files
_CONTEXT = multiprocessing.get_context("spawn")  # a fork would share CUDA and locks of threads


class LocalProcesses:
    """Does images in several processes; see :class:`~cellseg_mm.inference.batch.executor.Executor`.

    A worker that is killed is replaced, and its image tried again. Workers end with this process,
    however it ends.

    Args:
        model: What they load.
        workers: How many processes.
    """

    def __init__(self, model: WorkerModel, workers: int) -> None:
        self._model = model
        self._workers = workers

    def run(self, task: ImageTask, images: Sequence[NamedImage]) -> Outcomes:
        """See :class:`~cellseg_mm.inference.batch.executor.Executor`."""
        queue = ImageQueue(images)
        count = min(self._workers, len(images))
        workers: list[_Worker] = []
        try:
            workers += [_Worker(i, count, self._model, task) for i in range(count)]
            while workers:
                for worker in workers:
                    if worker.turn is None and (turn := queue.take()) is not None:
                        worker.give(turn)
                busy = {worker.connection: worker for worker in workers if worker.turn is not None}
                if not busy:
                    return
                for connection in wait(list(busy)):
                    worker = busy[connection]  # type: ignore[index]
                    outcome = worker.receive(queue)
                    if worker.lost:
                        workers[workers.index(worker)] = _Worker(
                            worker.index, count, self._model, task
                        )
                    if outcome is not None:
                        yield outcome
        finally:
            _end(workers)


class _Worker:
    """A process and the image that it has.

    Attributes:
        index: Its place among the workers, from 0.
        turn: The image that it has, if any.
        connection: Its end of a pipe; a queue's lock would be held for ever by one that was killed.
        lost: Whether it has died.
    """

    def __init__(self, index: int, count: int, model: WorkerModel, task: ImageTask) -> None:
        self.index = index
        self.turn: Turn | None = None
        self.lost = False
        self._ready = False
        self.connection, theirs = _CONTEXT.Pipe()
        arguments = (theirs, index, model, task)
        self.process = _CONTEXT.Process(target=_work, args=arguments, daemon=True)
        with _environment_of_workers(count):
            self.process.start()
        theirs.close()  # so that the pipe breaks when the process dies

    def give(self, turn: Turn) -> None:
        """Hand an image to it; if it has died, :meth:`receive` tells."""
        self.turn = turn
        with contextlib.suppress(OSError):
            self.connection.send(turn)

    def receive(self, queue: ImageQueue) -> ImageOutcome | None:
        """What became of its image; None if it has only started, or the image is tried again.

        Raises:
            UserError: It cannot load the model, or workers die at their start.
        """
        assert self.turn is not None
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            return self._lose(queue, self.turn)
        if isinstance(message, UserError):
            raise message
        if message == _READY:
            self._ready = True
            queue.started()
            return None
        self.turn = None
        outcome: ImageOutcome = message
        return outcome

    def _lose(self, queue: ImageQueue, turn: Turn) -> ImageOutcome | None:
        self.lost = True
        self.connection.close()
        self.process.join()
        code = self.process.exitcode or 0
        why = f"its process ended with exit code {code}"
        if code < 0:
            why = f"its process was ended by {signal.Signals(-code).name}"
        if code == -signal.SIGKILL:
            why += ", as systems do when memory is short"
        if self._ready:
            return queue.lose(turn.image, why)
        queue.give_back(turn.image)
        queue.fail_start(why)
        return None


def _end(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(_PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


@contextmanager
def _environment_of_workers(count: int) -> Iterator[None]:
    """What a process inherits: a share of the cores, and no Ctrl-C, which the parent handles."""
    resource_tracker.ensure_running()  # the first start would let signals through again
    threads = os.environ.get("OMP_NUM_THREADS")
    share = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        os.environ["OMP_NUM_THREADS"] = threads or str(max(1, (share or 1) // count))
        yield
    finally:
        if threads is None:
            del os.environ["OMP_NUM_THREADS"]
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, index: int, model: WorkerModel, task: ImageTask) -> None:
    """The life of a worker."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, _terminate)
    # SIGTERM unwinds the stack; a pipe breaks when the parent has gone.
    with contextlib.suppress(Terminated, EOFError, BrokenPipeError):
        try:
            segmenter = _load(index, model, task.options.views)
        except UserError as error:
            connection.send(UserError(str(error)))
            return
        connection.send(_READY)
        while True:
            turn: Turn = connection.recv()
            connection.send(task.attempt(segmenter, turn.image, turn.again))


def _load(index: int, model: WorkerModel, views: str) -> Any:
    import cv2
    import torch

    cv2.setNumThreads(torch.get_num_threads())
    gpus = torch.cuda.device_count()
    return model.load(views, index % gpus if gpus else None)


def _terminate(*_: object) -> None:
    raise Terminated
