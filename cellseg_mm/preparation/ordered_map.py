"""A map over several processes that gives its results in order and stops cleanly."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    title: str,
    show_progress: bool = True,
) -> Iterator[Result]:
    """Apply a function to items, with a progress bar.

    Args:
        function: A picklable function.
        items: Its arguments.
        workers: Number of processes; with 1, all is done in this one.
        title: Text beside the progress bar.
        show_progress: Whether to draw the bar (on standard error).

    Yields:
        The results in the order of the items. An error in any item is raised here, and items that
        have not begun are dropped.

    Raises:
        OSError: A process was killed.
    """
    workers = min(workers, len(items))
    # `disable=None` leaves the bar out where standard error is no terminal.
    bar = tqdm(total=len(items), desc=title, unit="image", disable=None if show_progress else True)
    with bar:
        if workers <= 1:
            for item in items:
                yield function(item)
                bar.update()
            return
        # "spawn" works the same on every system and inherits no lock in a bad state.
        pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_begin_worker
        )
        try:
            for result in pool.map(function, items):
                yield result
                bar.update()
        except BrokenProcessPool as error:
            raise OSError(
                "a worker process was killed, most likely for want of memory; use fewer workers"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    # Ctrl-C reaches all processes of the terminal; the first one decides what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    """End this process, a worker, when its parent was killed, which nothing else would tell it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
