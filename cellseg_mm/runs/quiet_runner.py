"""MMEngine's runner, with what it says at length in the log file alone."""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.utils import manager

from cellseg_mm.engine.hooks.class_count_hook import ClassCountHook
from cellseg_mm.engine.hooks.fitting_weights_hook import FittingWeightsHook
from cellseg_mm.errors import UserError, one_line

Params = ParamSpec("Params")
Built = TypeVar("Built")
Builder = Callable[Concatenate["QuietRunner", Params], Built]


def _as_the_config_says(build: Builder[Params, Built]) -> Builder[Params, Built]:
    """What fails while a part is built is for the user to mend: the config names the part."""

    @functools.wraps(build)
    def built(self: QuietRunner, *args: Params.args, **kwargs: Params.kwargs) -> Built:
        try:
            return build(self, *args, **kwargs)
        except UserError:
            raise
        except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
            if hasattr(self, "logger"):
                self.logger.info(traceback.format_exc())
            what = build.__name__.partition("_")[2].replace("_", " ")
            reason = one_line(error, longest=None)
            raise UserError(
                f"The config's {what} cannot be used ({reason}): mend the config, or what "
                "--cfg-options changes in it."
            ) from error
        finally:
            # MMEngine keeps its lock when what it guards cannot be made: other threads would hang.
            while manager._lock._is_owned():
                manager._lock.release()

    return built


class QuietRunner(Runner):
    """A runner whose console shows no config of six hundred lines.

    The log file in the work dir holds everything. A part that cannot be built as the config says is
    an error of the user's, with one sentence.
    """

    set_randomness = _as_the_config_says(Runner.set_randomness)
    build_message_hub = _as_the_config_says(Runner.build_message_hub)
    build_visualizer = _as_the_config_says(Runner.build_visualizer)
    build_model = _as_the_config_says(Runner.build_model)
    build_optim_wrapper = _as_the_config_says(Runner.build_optim_wrapper)
    build_param_scheduler = _as_the_config_says(Runner.build_param_scheduler)
    build_train_loop = _as_the_config_says(Runner.build_train_loop)
    build_val_loop = _as_the_config_says(Runner.build_val_loop)
    build_test_loop = _as_the_config_says(Runner.build_test_loop)

    longest: ClassVar[int] = 20
    """Most lines of a message that the console shows."""

    @_as_the_config_says
    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger; the arguments are those of ``Runner.build_logger``."""
        logger: MMLogger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(self._is_short)
        return logger

    @_as_the_config_says
    def register_hooks(self, *args: Any, **kwargs: Any) -> None:
        """Register the config's hooks, and those that look after classes."""
        super().register_hooks(*args, **kwargs)
        self.register_hook(FittingWeightsHook())
        self.register_hook(ClassCountHook())

    def _is_short(self, record: logging.LogRecord) -> bool:
        return record.getMessage().count("\n") < self.longest


class EvaluationRunner(QuietRunner):
    """A runner that leaves the config of the training as it is in the work dir.

    Its scores are printed as one table by ``tools/test.py``, so the log's are for the file.
    """

    longest = 2

    def dump_config(self) -> None:
        """Nothing: a checkpoint's config is the one that it was trained with."""
