"""This process as a part of a Ray cluster."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cellseg_mm.errors import UserError

_TIMEOUT = 5.0  # seconds until an address is taken for unreachable; Ray itself takes minutes


def import_ray() -> Any:
    """The module, which reports nothing to its makers.

    Raises:
        UserError: It is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise UserError(
            "--ray needs the package ray: pip install 'cellseg-mm[ray]' on all machines."
        ) from None
    return ray


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Take part in a cluster until the block ends.

    Args:
        address: ``HOST:PORT``; "auto" = ``$RAY_ADDRESS``, or the cluster that this machine is in.

    Raises:
        UserError: There is no such cluster, or this machine is no part of it.
    """
    ray = import_ray()
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "auto")
    if address != "auto":
        _check_address(address)
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = "this machine" if address == "auto" else address
        raise UserError(
            f"No Ray cluster could be joined at {where} ({' '.join(str(error).split())}): run "
            "`ray start` on this machine, of the same versions of Ray and Python as on the others."
        ) from None
    finally:
        signal.signal(signal.SIGTERM, before)  # Ray has put in a handler that ends the process
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise UserError(
            f"--ray {address} is no address of a cluster: give HOST:PORT as of "
            "`ray start --address`, or auto."
        )
    if host in ("localhost", "127.0.0.1", "::1"):
        host = import_ray().util.get_node_ip_address()  # as Ray takes it
    try:
        socket.create_connection((host, int(port)), _TIMEOUT).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"No Ray cluster can be reached at {address} ({error}): see `ray status` there."
        ) from None
