"""Check a submission against the list of test images, before a grader does."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as shown
from typing import IO, Any

from cellseg_mm.errors import MissingFileError, UserError
from cellseg_mm.evaluation.predictions import is_box, is_finite, is_integer
from cellseg_mm.files.json_file import iterate_list, read_json
from cellseg_mm.structures.coco_rle import decode_counts

MEMBER = "test-results.json"
"""The only file in the zip of a submission."""

MAX_MEMBER_BYTES = 512 << 20
"""Most that the file may hold when unpacked: 101 images of 2,000 cells take some 60 MB."""

MAX_PER_IMAGE = 10_000
"""Most detections an image that are looked at, on average."""

MAX_PROBLEMS = 1000
"""Problems after which nothing more is looked at."""

_ZIP_ERRORS = (
    *(zipfile.BadZipFile, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError),
    RuntimeError,  # an encrypted file
    NotImplementedError,  # a compression that Python does not know
)
_RECORD_KEYS = ("image_id", "bbox", "score", "category_id", "segmentation")


@dataclass
class SubmissionCheck:
    """What a check found.

    Attributes:
        problems: One sentence each, at most `max_problems` of them.
        num_problems: How many problems there are, listed or not.
        notes: Oddities that a grader accepts.
        images: Number of images in the image list.
        detections: Number of records.
        images_with_detections: How many images of the list have a record.
        most_in_an_image: Largest number of records for one image.
        per_category: Number of records by category id.
        max_problems: Problems beyond this number are counted, not listed.
    """

    max_problems: int
    images: int = 0
    detections: int = 0
    images_with_detections: int = 0
    most_in_an_image: int = 0
    num_problems: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    per_category: Counter[int] = field(default_factory=Counter)

    @property
    def valid(self) -> bool:
        """Whether a grader can read all of it."""
        return not self.num_problems

    def add_problem(self, problem: str) -> None:
        """Count a problem, and list it while there is room."""
        self.num_problems += 1
        if len(self.problems) < self.max_problems:
            self.problems.append(problem)

    def __str__(self) -> str:
        """Summary, notes, problems and verdict, a line each."""
        categories = ", ".join(f"{c}: {n:,}" for c, n in sorted(self.per_category.items()))
        lines = [
            f"{self.detections:,} detections in {self.images_with_detections} of {self.images} "
            f"images, at most {self.most_in_an_image:,} in one; by category {{{categories}}}"
        ]
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"problem: {problem}" for problem in self.problems]
        if unlisted := self.num_problems - len(self.problems):
            lines.append(f"… and {unlisted:,} more problems")
        lines.append("valid" if self.valid else f"not valid: {self.num_problems:,} problems")
        return "\n".join(lines)


def validate_submission(
    path: Path | str, images_json: Path | str, num_classes: int = 4, max_problems: int = 20
) -> SubmissionCheck:
    """Check the zip, its json and every record: keys, types, ids, sizes, masks, scores, boxes.

    Nothing in the zip is trusted: masks are checked without decoding them to pixels, and the json
    is read one record at a time.

    Args:
        path: The submission.
        images_json: The image list, `test_image_name_to_ids.json` or a COCO json.
        num_classes: Category ids go from 1 to this.
        max_problems: Problems beyond this number are counted, not listed.

    Raises:
        FileNotFoundError: There is no such submission or image list.
        ValueError: The image list is not one.
    """
    sizes = _read_image_sizes(Path(images_json))
    check = SubmissionCheck(max_problems, images=len(sizes))
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"The submission {path} does not exist.")
    try:
        with zipfile.ZipFile(path) as archive:
            member = _find_member(archive, check)
            if member is not None:
                with archive.open(member) as file:
                    _check_records(file, sizes, num_classes, check)
    except _ZIP_ERRORS as error:
        check.add_problem(f"{path} is not a readable zip: {error}")
    return check


def _read_image_sizes(path: Path) -> dict[int, tuple[int, int]]:
    """(height, width) by image id."""
    data = read_json(path, "The image list")
    try:
        images = data["images"] if isinstance(data, dict) else data
        numbers = [(image["id"], image["height"], image["width"]) for image in images]
        if any(not is_integer(number) for record in numbers for number in record):
            raise TypeError("ids and sizes are whole numbers")
        return {image_id: (height, width) for image_id, height, width in numbers}
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{path} is not an image list: it must be JSON, a list of {{file_name, id, height, "
            "width}, or a COCO file with such `images`."
        ) from error


def _find_member(archive: zipfile.ZipFile, check: SubmissionCheck) -> zipfile.ZipInfo | None:
    """The json of the submission, or the only one that could be meant."""
    names = archive.namelist()
    if names != [MEMBER]:
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        check.add_problem(f"The zip must hold {MEMBER} and nothing else, but holds: {shown}")
    candidates = [i for i in archive.infolist() if Path(i.filename).suffix == ".json"]
    member = next((i for i in candidates if i.filename == MEMBER), next(iter(candidates), None))
    if member is not None and member.file_size > MAX_MEMBER_BYTES:
        check.add_problem(
            f"{member.filename} unpacks to {member.file_size:,} bytes, more than the "
            f"{MAX_MEMBER_BYTES:,} that this check reads."
        )
        return None
    return member


def _check_records(
    file: IO[bytes], sizes: dict[int, tuple[int, int]], num_classes: int, check: SubmissionCheck
) -> None:
    per_image: Counter[int] = Counter()
    boxes_outside = 0
    try:
        for index, record in enumerate(iterate_list(file)):
            if index >= MAX_PER_IMAGE * len(sizes) or check.num_problems >= MAX_PROBLEMS:
                check.add_problem(f"what comes from record {index} on was not looked at")
                break
            check.detections += 1
            for problem in _record_problems(record, sizes, num_classes):
                check.add_problem(f"record {index}: {problem}")
            if not isinstance(record, dict):
                continue
            image_id, category = record.get("image_id"), record.get("category_id")
            if is_integer(category):
                check.per_category[category] += 1
            if is_integer(image_id) and image_id in sizes:
                per_image[image_id] += 1
                boxes_outside += _reaches_outside(record.get("bbox"), sizes[image_id])
    except UserError as error:
        check.add_problem(
            f"{MEMBER} is not a JSON list, seen in record {check.detections}: {error}"
        )
    check.images_with_detections = len(per_image)
    check.most_in_an_image = max(per_image.values(), default=0)
    if boxes_outside:
        check.notes.append(
            f"{boxes_outside:,} boxes reach beyond their image when read as [x, y, width, height] "
            "as COCO does: are they [x1, y1, x2, y2]? Boxes do not change mask AP."
        )
    if not check.detections:
        check.notes.append("No detections: pycocotools' `loadRes` fails on an empty list.")


def _record_problems(
    record: Any, sizes: dict[int, tuple[int, int]], num_classes: int
) -> Iterator[str]:
    """What is wrong with one record."""
    if not isinstance(record, dict):
        yield f"it must be an object, not {shown(record)}"
        return
    missing = [key for key in _RECORD_KEYS if key not in record]
    if missing:
        yield f"{', '.join(missing)} missing"
        return
    image_id, category, score = record["image_id"], record["category_id"], record["score"]
    size = sizes.get(image_id) if is_integer(image_id) else None
    if size is None:
        yield f"image_id must be an id of the image list, not {shown(image_id)}"
    if not is_integer(category) or not 1 <= category <= num_classes:
        yield f"category_id must be an integer from 1 to {num_classes}, not {shown(category)}"
    if not is_finite(score) or not 0 <= score <= 1:
        yield f"score must be a number from 0 to 1, not {shown(score)}"
    yield from _box_problems(record["bbox"])
    yield from _mask_problems(record["segmentation"], size)


def _box_problems(box: Any) -> Iterator[str]:
    if not is_box(box):
        yield f"bbox must be four finite numbers, not {shown(box)}"
    elif min(box[2:]) < 0:
        # COCO takes the area from the box and ignores a detection of negative area.
        yield f"bbox has a negative width or height: {shown(box)}"


def _mask_problems(segmentation: Any, size: tuple[int, int] | None) -> Iterator[str]:
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        yield f"segmentation must be an object with size and counts, not {shown(segmentation)}"
        return
    stated, counts = segmentation["size"], segmentation["counts"]
    if not isinstance(stated, list) or len(stated) != 2 or not all(map(is_integer, stated)):
        yield f"size must be [height, width], not {shown(stated)}"
        return
    height, width = stated
    if size is not None and (height, width) != size:
        yield f"size is [{height}, {width}], but the image is [{size[0]}, {size[1]}]"
    if not isinstance(counts, str):
        yield f"counts must be a string (compressed RLE), not {shown(counts)}"
        return
    try:
        runs = decode_counts(counts)
    except ValueError as error:
        yield str(error)
        return
    if (pixels := int(runs.sum())) != height * width:
        yield f"the mask covers {pixels:,} pixels, but its size has {height * width:,}"
    elif not runs[1::2].any():
        yield "the mask is empty"


def _reaches_outside(box: Any, size: tuple[int, int]) -> bool:
    """Whether an [x, y, width, height] box ends more than a pixel outside the image."""
    if not is_box(box):
        return False
    x, y, width, height = box
    return x + width > size[1] + 1 or y + height > size[0] + 1
