"""MMEngine's runner, with what it says at length in the log file alone."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from mmengine.logging import MMLogger
from mmengine.runner import Runner


class QuietRunner(Runner):
    """A runner whose console shows no config of six hundred lines.

    The log file in the work dir holds everything.
    """

    longest: ClassVar[int] = 20
    """Most lines of a message that the console shows."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger; the arguments are those of ``Runner.build_logger``."""
        logger: MMLogger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(self._is_short)
        return logger

    def _is_short(self, record: logging.LogRecord) -> bool:
        return record.getMessage().count("\n") < self.longest


class EvaluationRunner(QuietRunner):
    """A runner that leaves the config of the training as it is in the work dir.

    Its scores are printed as one table by ``tools/test.py``, so the log's are for the file.
    """

    longest = 2

    def dump_config(self) -> None:
        """Nothing: a checkpoint's config is the one that it was trained with."""
