"""From an image to its cells."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from cellseg_mm.errors import UserError
from cellseg_mm.inference.batch.batch_options import BatchOptions
from cellseg_mm.inference.batch.executor import InProcess
from cellseg_mm.inference.batch.segment_batch import segment_batch
from cellseg_mm.inference.cell_finder import CellFinder
from cellseg_mm.inference.cell_stream import count_tiles, stream_cells
from cellseg_mm.inference.region_of_interest import RegionOfInterest
from cellseg_mm.inference.results.formats import DEFAULT_FORMATS, result_cells
from cellseg_mm.inference.results.result_cell import ResultCells
from cellseg_mm.inference.results.result_image import ResultImage
from cellseg_mm.inference.results.segmented_image import SegmentedImage
from cellseg_mm.inference.scaled_image import ScaledImage, at_mpp
from cellseg_mm.inference.search_area import SearchArea, search_area
from cellseg_mm.models.test_time.seams import DetectedCell
from cellseg_mm.models.test_time.tiles import FoundCells
from cellseg_mm.readers.array_image import ArrayImage
from cellseg_mm.readers.image_reader import ImageReader
from cellseg_mm.readers.open_image import open_image
from cellseg_mm.runs.model_bundle import ModelBundle, find_model

TILE, OVERLAP = 1280, 64
"""Side of a tile and what tiles share, pixels of the model's scale: more than a cell's diameter."""

_GPU_BATCH = 8
"""Tiles that a GPU sees together; on a CPU, more than one at a time is no faster."""

Scale = float | tuple[float, float]
Picture = str | Path | np.ndarray | Image.Image
Area = str | Path | RegionOfInterest


class CellSegmenter:
    """Finds the cells of H&E images.

    Threads may share one: they take turns at the model.

    Args:
        model: Name of an installed model, folder of a published one, checkpoint of tools/train.py
            with its config beside it, or a bundle. Nothing is downloaded.
        device: "cpu", "cuda", "cuda:1", …, or "auto": a GPU where there is one.
        views: "identity"; "flips" or "dihedral" look at every tile 4 or 8 times, which takes so
            many times as long, and longer.

    Attributes:
        bundle: The model's description: classes, µm per pixel, least scores, licence.
        views: As given.

    Raises:
        UserError: There is no such model or device.
    """

    def __init__(
        self, model: str | Path | ModelBundle, device: str = "auto", views: str = "identity"
    ) -> None:
        self.bundle = model if isinstance(model, ModelBundle) else find_model(model)
        self.views = views
        self._find = CellFinder(self.bundle, device, views, TILE * TILE)
        self._batch = 1 if self._find.device.type == "cpu" else _GPU_BATCH
        self._lock = threading.Lock()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.bundle.classes

    def segment(
        self,
        image: Picture,
        mpp: Scale | None = None,
        roi: Area | None = None,
        min_score: float | None = None,
    ) -> SegmentedImage:
        """Find the cells of an image.

        Args:
            image: A file (PNG, JPEG, BMP, WebP, TIFF or a slide), an array (H, W, 3) uint8, RGB, or
                a PIL image.
            mpp: µm per pixel, or those in x and in y; None = what the file says. Where nothing says
                it, the image is taken as of the model's scale, with a warning in the result.
            roi: GeoJSON file with polygons to stay inside, in pixels of the image.
            min_score: Least score of a cell, 0 to 1; None = the model's, by class.

        Returns:
            The cells, in pixels of the image, all of them in memory.

        Raises:
            MissingFileError: A file does not exist.
            UserError: The image is damaged or no image, or an argument makes no sense.
        """
        with self.open(image, mpp, roi) as job:
            return SegmentedImage(job.image, job.cells(min_score))

    def segment_many(
        self,
        paths: Sequence[str | Path],
        out: str | Path,
        formats: Sequence[str] = DEFAULT_FORMATS,
        mpp: float | None = None,
        min_score: float | None = None,
        resume: bool = False,
    ) -> int:
        """Segment images as ``cellseg segment`` does, and write their results.

        Args:
            paths: Images, folders of them, or patterns with ``*``.
            out: Folder of the results; made if absent.
            formats: Names out of :data:`~cellseg_mm.inference.results.formats.FORMATS`.
            mpp: µm per pixel of all images; None = what each file says.
            min_score: As in :meth:`segment`.
            resume: Whether to leave out images that are complete and would come out the same.

        Returns:
            How many images failed; ``summary.csv`` says why.

        Raises:
            UserError: There is no image, or a format is not known.
        """
        options = BatchOptions(tuple(formats), mpp, min_score, views=self.views)
        executor = InProcess(lambda: self)
        outcome = segment_batch(paths, Path(out), self.bundle, executor, options, resume=resume)
        return outcome.failed

    @contextmanager
    def open(
        self,
        image: Picture,
        mpp: Scale | None = None,
        roi: Area | None = None,
        tissue: bool = True,
        channel_order: str = "rgb",
        name: str | None = None,
    ) -> Iterator[SegmentationJob]:
        """Open an image whose cells are found when they are asked for.

        Args:
            image: As in :meth:`segment`.
            mpp: As in :meth:`segment`.
            roi: As in :meth:`segment`, or the polygons themselves.
            tissue: Whether to look for tissue first, in large images; not within a ``roi``.
            channel_order: "bgr" for files that have red and blue swapped.
            name: What results are called; None = the file's name without its ending.

        Yields:
            The job, to be used until the context ends.

        Raises:
            MissingFileError: A file does not exist.
            UserError: The image is damaged or no image, or an argument makes no sense.
        """
        if isinstance(image, str | Path):
            name = name or Path(image).stem
            opening: AbstractContextManager[ImageReader] = open_image(Path(image), channel_order)
        else:
            name = name or "image"
            pixels = np.asarray(image.convert("RGB") if isinstance(image, Image.Image) else image)
            opening = nullcontext(ArrayImage(pixels, name))
        with opening as reader:
            view = self._at_scale(reader, mpp)
            area = search_area(reader, roi, tissue)
            stated = (mpp, mpp) if isinstance(mpp, int | float) else mpp
            warnings = [*view.warnings, *area.warnings]
            source = ResultImage(name, reader, self.classes, stated or reader.mpp, warnings)
            yield SegmentationJob(source, view, area, self._batch, self._find, self._lock)

    def _at_scale(self, reader: ImageReader, mpp: Scale | None) -> ScaledImage:
        if self.bundle.mpp is not None:
            return at_mpp(reader, self.bundle.mpp, mpp)
        view = ScaledImage(reader, reader.width, reader.height)
        view.warnings.append(
            f"The model {self.bundle.name} does not say at which scale it was trained; the image's "
            "pixels were taken as they are."
        )
        return view


class SegmentationJob:
    """An open image and what will be looked at.

    Attributes:
        image: The image, with warnings; looking for its cells and writing them may add some.
        tiles: Number of tiles that go through the model.
        analysed_pixels: Area in which cells are looked for, pixels of the full image.
    """

    def __init__(
        self,
        image: ResultImage,
        view: ScaledImage,
        area: SearchArea,
        batch: int,
        find: CellFinder,
        lock: threading.Lock,
    ) -> None:
        self.image = image
        self.analysed_pixels = area.pixels
        self.tiles = count_tiles(view, TILE, OVERLAP, self._touches(view, area))
        self._view = view
        self._area = area
        self._batch = batch
        self._find = find
        self._lock = lock

    def cells(
        self, min_score: float | None = None, on_tile: Callable[[], object] | None = None
    ) -> Iterator[ResultCells]:
        """Find the cells, giving them as they are settled.

        Args:
            min_score: Least score of a cell, 0 to 1; None = the model's, by class.
            on_tile: Called after each tile that went through the model.

        Raises:
            UserError: The score is no such number, or the image is damaged.
        """
        if min_score is not None and not 0 <= min_score <= 1:
            raise UserError(f"The least score is {min_score}, but must lie between 0 and 1.")
        return result_cells(self._batches(min_score, on_tile), self.image, *self._view.factors)

    def _batches(
        self, min_score: float | None, on_tile: Callable[[], object] | None
    ) -> Iterator[FoundCells]:
        """Cells in pixels of the view."""
        least = self._find.min_scores(min_score).tolist()
        # A tile that sees a whole cell may be less sure of it than one that sees a part. So scores
        # are cut once more when tiles have been brought together, and less strictly before.
        margin = OVERLAP if self.tiles > 1 else 0
        cap, full = self._find.max_per_region, 0

        def find(regions: Sequence[Tensor]) -> list[list[DetectedCell]]:
            nonlocal full
            with self._lock:
                found = self._find(regions, min_score, margin)
            full += sum(0 < cap <= len(cells) for cells in found)
            if on_tile is not None:
                for _ in regions:
                    on_tile()
            return found

        touches = self._touches(self._view, self._area)
        for cells, final_rows in stream_cells(
            self._view, find, TILE, OVERLAP, self._batch, touches
        ):
            kept = [
                cell
                for cell in cells
                if cell.score >= least[cell.label] and self._area.has(cell, *self._view.factors)
            ]
            yield FoundCells(kept, final_rows)
        if full:
            self.image.warnings.append(
                f"{full:,} of {self.tiles:,} tiles hold {cap:,} cells, the most that the model "
                "gives for one: cells may be missing there; check the µm per pixel."
            )

    @staticmethod
    def _touches(view: ScaledImage, area: SearchArea) -> Callable[[int, int, int, int], bool]:
        x, y = view.factors
        return lambda x1, y1, x2, y2: area.touches(x1 * x, y1 * y, x2 * x, y2 * y)
