"""The submission: a zip with every detection of the test images, written as a metric."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mmdet.registry import METRICS

from cellseg_mm.evaluation.prediction_dumper import PredictionDumper
from cellseg_mm.evaluation.submission_check import MEMBER


@METRICS.register_module()
class SubmissionWriter(PredictionDumper):
    """Write what the model finds to a zip that holds `test-results.json`, and nothing else.

    See :class:`PredictionDumper` for the form of the list and the arguments.
    """

    default_prefix = "submission"
    suffix = ".zip"
    what = "submission"

    @contextmanager
    def open_target(self, path: Path) -> Iterator[IO[bytes]]:
        """Open the one member of a new zip."""
        member = zipfile.ZipInfo(MEMBER)
        member.compress_type = zipfile.ZIP_DEFLATED
        member.external_attr = 0o644 << 16
        with zipfile.ZipFile(path, "w") as archive, archive.open(member, "w") as file:
            yield file
