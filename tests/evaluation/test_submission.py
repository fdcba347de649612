"""The submission writer: what the zip holds, and that it appears whole or not at all."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from pycocotools import mask as coco_mask

from cellseg_mm.evaluation.submission import SubmissionWriter

HEIGHT, WIDTH = 12, 20
CLASSES = ("epithelial", "lymphocyte", "neutrophil", "macrophage")


def bitmap(x, y, width, height):
    result = np.zeros((HEIGHT, WIDTH), bool)
    result[y : y + height, x : x + width] = True
    return result


def data_sample(image_id, bitmaps, scores=None, labels=None, boxes=None):
    count = len(bitmaps)
    rles = [coco_mask.encode(np.asfortranarray(b.astype(np.uint8))) for b in bitmaps]
    return {
        "img_id": image_id,
        "ori_shape": (HEIGHT, WIDTH),
        "pred_instances": {
            "bboxes": torch.tensor(boxes or [[2.0, 3.0, 6.5, 9.0]] * count).reshape(-1, 4),
            "scores": torch.tensor(scores or [0.5] * count),
            "labels": torch.tensor(labels or [0] * count, dtype=torch.int64),
            "masks": [{"size": r["size"], "counts": r["counts"].decode()} for r in rles],
        },
    }


def read(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["test-results.json"]
        return json.loads(archive.read("test-results.json"))


def make_writer(path, classes=CLASSES):
    """A writer with its annotation file, one a process, beside the folder of the target."""
    ann_file = path.parent.with_name(f"{path.parent.name}-{os.getpid()}-test.json")
    categories = [{"id": n, "name": name} for n, name in enumerate(CLASSES, start=1)]
    ann_file.write_text(json.dumps({"images": [], "annotations": [], "categories": categories}))
    writer = SubmissionWriter(str(path), str(ann_file))
    writer.dataset_meta = {"classes": classes}
    return writer


def write(path, samples, **arguments):
    writer = make_writer(path, **arguments)
    for sample in samples:
        writer.process({}, [sample])
    return writer.evaluate(len(samples))


def test_records(tmp_path):
    masks = [bitmap(2, 3, 4, 6), bitmap(0, 0, 1, 1), bitmap(19, 11, 1, 1)]
    first = data_sample(
        7,
        masks[:2],
        scores=[0.75, 0.5],
        labels=[0, 3],
        boxes=[[2.0, 3.0, 6.5, 9.25], [0.0, 0.0, 1.0, 1.0]],
    )
    second = data_sample(9, masks[2:], scores=[1.0], labels=[2], boxes=[[18.5, 11.0, 20.0, 12.0]])

    numbers = write(tmp_path / "out.zip", [first, second])

    assert numbers == {"submission/images": 2, "submission/detections": 3}
    records = read(tmp_path / "out.zip")
    assert [r["image_id"] for r in records] == [7, 7, 9]
    assert [r["bbox"] for r in records] == [[2, 3, 4.5, 6.25], [0, 0, 1, 1], [18.5, 11, 1.5, 1]]
    assert [r["score"] for r in records] == [0.75, 0.5, 1.0]
    assert [r["category_id"] for r in records] == [1, 4, 3]
    for record, mask in zip(records, masks, strict=True):
        assert record["segmentation"]["size"] == [HEIGHT, WIDTH]
        assert isinstance(record["segmentation"]["counts"], str)
        np.testing.assert_array_equal(coco_mask.decode(record["segmentation"]), mask)


@pytest.mark.parametrize(
    ("classes", "category_ids"),
    [
        (("macrophage", "epithelial", "neutrophil", "lymphocyte"), [4, 1, 3, 2]),
        (("neutrophil", "lymphocyte"), [3, 2]),
    ],
)
def test_categories_are_matched_by_name(tmp_path, classes, category_ids):
    labels = list(range(len(classes)))
    sample = data_sample(1, [bitmap(1, 1, 2, 2)] * len(classes), labels=labels)

    write(tmp_path / "out.zip", [sample], classes=classes)

    assert [r["category_id"] for r in read(tmp_path / "out.zip")] == category_ids


def test_a_class_that_is_no_category_is_refused(tmp_path):
    sample = data_sample(1, [bitmap(1, 1, 2, 2)])

    with pytest.raises(ValueError, match=r"\['nucleus'\] must all be categories of .*test\.json"):
        write(tmp_path / "out.zip", [sample], classes=("nucleus",))


def test_no_detections_at_all(tmp_path):
    numbers = write(tmp_path / "out.zip", [data_sample(1, []), data_sample(2, [])])

    assert numbers == {"submission/images": 2, "submission/detections": 0}
    assert read(tmp_path / "out.zip") == []


def test_empty_masks_are_left_out(tmp_path):
    nothing = bitmap(0, 0, 0, 0)

    write(tmp_path / "out.zip", [data_sample(1, [nothing, bitmap(1, 1, 2, 2), nothing])])

    assert len(read(tmp_path / "out.zip")) == 1


def test_an_image_seen_twice_is_written_once(tmp_path):
    samples = [data_sample(n, [bitmap(1, 1, n, 2)]) for n in (1, 11, 1, 2)]

    numbers = write(tmp_path / "out.zip", samples)

    assert numbers["submission/images"] == 3
    assert [r["image_id"] for r in read(tmp_path / "out.zip")] == [1, 11, 2]


def test_through_the_evaluator_with_bitmaps(tmp_path):
    sample = data_sample(4, [bitmap(1, 1, 2, 2), bitmap(5, 5, 3, 3)])
    bitmaps = np.stack([bitmap(1, 1, 2, 2), bitmap(5, 5, 3, 3)])
    sample["pred_instances"]["masks"] = torch.from_numpy(bitmaps)
    ann_file = make_writer(tmp_path / "out.zip").ann_file
    out_file = str(tmp_path / "out.zip")
    evaluator = Evaluator(
        {"type": "mmdet.SubmissionWriter", "out_file": out_file, "ann_file": ann_file}
    )
    evaluator.dataset_meta = {"classes": CLASSES}

    for _ in range(2):
        evaluator.process([sample])
        assert evaluator.evaluate(1) == {"submission/images": 1, "submission/detections": 2}

    records = read(tmp_path / "out.zip")
    decoded = [coco_mask.decode(record["segmentation"]) for record in records]
    np.testing.assert_array_equal(decoded, bitmaps)


def test_nothing_lies_in_the_folder_until_the_zip_is_whole(tmp_path):
    writer = make_writer(tmp_path / "out.zip")

    writer.process({}, [data_sample(1, [bitmap(1, 1, 2, 2)])] * 50)
    assert os.listdir(tmp_path) == []
    assert writer.results == []

    writer.evaluate(50)
    assert os.listdir(tmp_path) == ["out.zip"]


def test_an_interrupt_while_writing_keeps_the_older_zip(tmp_path):
    write(tmp_path / "out.zip", [data_sample(1, [bitmap(1, 1, 2, 2)])])
    older = (tmp_path / "out.zip").read_bytes()

    def lines():
        yield b'5 1 {"image_id": 5}\n'
        raise KeyboardInterrupt

    writer = make_writer(tmp_path / "out.zip")
    with pytest.raises(KeyboardInterrupt):
        writer.compute_metrics(lines())

    assert os.listdir(tmp_path) == ["out.zip"]
    assert (tmp_path / "out.zip").read_bytes() == older


def write_as_one_of_two(rank, folder):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    # Five images on two processes: the sampler shows image 1 again to even them out.
    image_ids = [(1, 3, 5), (2, 4, 1)][rank]
    samples = [data_sample(n, [bitmap(1, 1, n, 2)] * n) for n in image_ids]
    (folder / f"{rank}.json").write_text(json.dumps(write(folder / "out.zip", samples)))
    torch.distributed.destroy_process_group()


def test_two_processes(tmp_path):
    # Real processes: a forked one may hang in torch's threads.
    commands = [[sys.executable, __file__, str(rank), str(tmp_path)] for rank in range(2)]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(timeout=100) for process in processes] == [0, 0]

    counts = dict.fromkeys(range(1, 6), 0)
    for record in read(tmp_path / "out.zip"):
        counts[record["image_id"]] += 1
    assert counts == {1: 1, 2: 2, 3: 3, 4: 4, 5: 5}
    for rank in range(2):
        numbers = json.loads((tmp_path / f"{rank}.json").read_text())
        assert numbers == {"submission/images": 5, "submission/detections": 15}


def test_masks_of_another_size_are_refused(tmp_path):
    sample = data_sample(1, [bitmap(1, 1, 2, 2)])
    sample["ori_shape"] = (HEIGHT, WIDTH + 1)

    with pytest.raises(ValueError, match="predict at the original size"):
        write(tmp_path / "out.zip", [sample])


def test_scores_that_are_not_finite_are_refused(tmp_path):
    sample = data_sample(1, [bitmap(1, 1, 2, 2)], scores=[float("nan")])

    with pytest.raises(ValueError, match="not finite"):
        write(tmp_path / "out.zip", [sample])


def test_the_target_is_checked_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.zip"):
        make_writer(tmp_path / "out.json")
    with pytest.raises(FileNotFoundError, match="does not exist: make it"):
        make_writer(tmp_path / "absent" / "out.zip")
    with pytest.raises(FileNotFoundError, match=r"test\.json does not exist"):
        SubmissionWriter(str(tmp_path / "out.zip"), str(tmp_path / "test.json"))


if __name__ == "__main__":
    write_as_one_of_two(int(sys.argv[1]), Path(sys.argv[2]))
