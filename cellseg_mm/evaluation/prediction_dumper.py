"""Every detection of a data set in one file, written as a metric."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import IO, Any, ClassVar

from mmdet.registry import METRICS
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.evaluation.annotations import (
    index_annotations,
    match_categories,
    read_coco_file,
)
from cellseg_mm.evaluation.image_detections import ImageDetections
from cellseg_mm.files.atomic_write import atomic_write

_GATHERED_BYTES = 8 << 20
"""Each process sends about this much at a time to the one that writes the file."""


@METRICS.register_module()
class PredictionDumper(BaseMetric):
    """Write what the model finds to a COCO JSON file, which `load_predictions` reads.

    It is a list, which holds `{image_id, bbox, score, category_id, segmentation}`: the box is
    [x, y, width, height] in pixels, the category that of `ann_file` with the class' name, the
    segmentation a COCO RLE at the image's original size with str counts. Detections whose mask has
    no pixel are left out.

    Detections go to a file without a name in the target's folder until all images are done, so
    memory does not grow with the number of images, and an interrupted run leaves nothing behind.
    The target appears whole or not at all, and replaces an older one.

    A subclass writes another kind of file: `suffix`, `what` and :meth:`open_target`.

    Args:
        out_file: The file to write, in a folder that exists.
        ann_file: COCO json of the images; only its categories are used, so it needs no truth.
        collect_device: Not used: the parts of several processes always meet on the first one.
        prefix: Goes before `images` and `detections`, the numbers returned.

    Raises:
        FileNotFoundError: The folder of `out_file`, or the `ann_file`, does not exist.
        ValueError: `out_file` does not end in the suffix, or the `ann_file` is not COCO's.
    """

    default_prefix = "dump"
    suffix: ClassVar[str] = ".json"
    what: ClassVar[str] = "file of predictions"

    def __init__(
        self,
        out_file: str,
        ann_file: str,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.out_file = Path(out_file)
        if self.out_file.suffix.lower() != self.suffix:
            raise UserError(f"The {self.what} {out_file} must end in {self.suffix}.")
        if not self.out_file.absolute().parent.is_dir():
            raise MissingFileError(
                f"The folder {self.out_file.parent} of the {self.what} does not exist: make it."
            )
        self.ann_file = ann_file
        content = read_coco_file(ann_file)
        self._categories = index_annotations(content, ann_file).categories
        self._part: IO[bytes] | None = None

    def open_target(self, path: Path) -> AbstractContextManager[IO[bytes]]:
        """Open a new file of this kind for the text of the list."""
        return path.open("wb")

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Put aside what the model found in a batch; see :class:`ImageDetections` for the form.

        Raises:
            ValueError: The masks of an image are not at its original size, or a class of the
                dataset is not a category of `ann_file`.
        """
        part = self._open_part()
        for data_sample in data_samples:
            detections = ImageDetections.from_data_sample(data_sample)
            size = data_sample.get("ori_shape")
            if size is not None and detections.size not in (None, tuple(size)):
                raise UserError(
                    f"The masks of image {detections.image_id} are {detections.size} (height, "
                    f"width), but the image is {tuple(size)}: predict at the original size."
                )
            records = detections.coco_records(self._category_ids)
            part.write(_line(detections.image_id, records))

    def evaluate(self, size: int) -> dict[str, int]:
        """Merge the parts of all processes and write the file on the first one.

        Args:
            size: Number of images of the data set. Images that a sampler shows twice are told by
                their ids instead.

        Returns:
            `<prefix>/images` and `<prefix>/detections`, the numbers written.
        """
        part = self._open_part()
        part.seek(0)
        lines = _gather_lines(part)
        metrics: list[dict[str, int] | None] = [None]
        if is_main_process():
            numbers = self.compute_metrics(lines)
            metrics = [{f"{self.prefix}/{name}": value for name, value in numbers.items()}]
        else:
            for _ in lines:
                pass
        part.close()
        self._part = None
        broadcast_object_list(metrics)
        return metrics[0] or {}

    def compute_metrics(self, results: Iterable[bytes]) -> dict[str, int]:
        """Write the file.

        Args:
            results: One line for each image, as :meth:`process` puts them aside.

        Returns:
            Number of `images` seen and of `detections` written.
        """
        images: set[bytes] = set()
        detections = 0
        with atomic_write(self.out_file) as unfinished, self.open_target(unfinished) as file:
            file.write(b"[")
            for line in results:
                image_id, count, records = line.rstrip(b"\n").split(b" ", 2)
                if image_id in images:
                    continue
                images.add(image_id)
                if records:
                    file.write((b",\n" if detections else b"\n") + records)
                    detections += int(count)
            file.write(b"\n]\n")
        return {"images": len(images), "detections": detections}

    @cached_property
    def _category_ids(self) -> list[int]:
        """COCO category id of each label; the dataset's classes are known from `process` on."""
        classes = (self.dataset_meta or {}).get("classes", ())
        return match_categories(classes, self._categories, self.ann_file)

    def _open_part(self) -> IO[bytes]:
        """This process' detections so far; the file vanishes with the process, however it ends."""
        if self._part is None:
            folder = self.out_file.absolute().parent
            self._part = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (open until evaluate)
        return self._part


def _line(image_id: int, records: Sequence[dict[str, Any]]) -> bytes:
    """One image as a line: its id, the number of records, and the records, split by commas."""
    text = ", ".join(json.dumps(record) for record in records)
    return f"{image_id} {len(records)} {text}\n".encode()


def _gather_lines(part: IO[bytes]) -> Iterator[bytes]:
    """Lines of the parts of all processes, a few megabytes at a time.

    Every process must run through it: the processes exchange their lines on the way. Needs no file
    system that they share.
    """
    while True:
        gathered = all_gather_object(part.readlines(_GATHERED_BYTES))
        if not any(gathered):
            return
        for lines in gathered:
            yield from lines
