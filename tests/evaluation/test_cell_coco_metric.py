"""CellCocoMetric against pycocotools, number for number."""

import contextlib
import copy
import io
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.evaluator import Evaluator
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cellseg_mm.evaluation.cell_coco_metric import CellCocoMetric
from cellseg_mm.evaluation.prediction_dumper import PredictionDumper

CLASSES = ("epithelial", "lymphocyte", "neutrophil")
# Neither in the order of the classes nor without gaps.
CATEGORIES = [
    {"id": 7, "name": "epithelial"},
    {"id": 2, "name": "lymphocyte"},
    {"id": 5, "name": "neutrophil"},
]
CATEGORY_IDS = (7, 2, 5)


def rle_of(bitmap):
    rle = coco_mask.encode(np.asfortranarray(bitmap.astype(np.uint8)))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def rectangle(size, x, y, width, height):
    bitmap = np.zeros((size, size), bool)
    bitmap[y : y + height, x : x + width] = True
    return bitmap


def make_truth(num_images, size, instances):
    """COCO dict from (image id, label, bitmap, iscrowd)."""
    annotations = []
    for image_id, label, bitmap, iscrowd in instances:
        rle = rle_of(bitmap)
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": CATEGORY_IDS[label],
                "segmentation": rle,
                "bbox": coco_mask.toBbox(rle).tolist(),
                "area": int(bitmap.sum()),
                "iscrowd": iscrowd,
            }
        )
    return {
        "images": [
            {"id": index + 1, "height": size, "width": size, "file_name": f"{index + 1}.png"}
            for index in range(num_images)
        ],
        "annotations": annotations,
        "categories": CATEGORIES,
    }


def make_samples(num_images, detections):
    """Data samples from (image id, label, bitmap, score), as a test loop gives them."""
    samples = []
    for image_id in range(1, num_images + 1):
        mine = [d for d in detections if d[0] == image_id]
        rles = [rle_of(bitmap) for _, _, bitmap, _ in mine]
        boxes = np.array([coco_mask.toBbox(rle) for rle in rles]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        samples.append(
            {
                "img_id": image_id,
                "pred_instances": {
                    "bboxes": torch.tensor(boxes, dtype=torch.float32),
                    "scores": torch.tensor([d[3] for d in mine], dtype=torch.float32),
                    "labels": torch.tensor([d[1] for d in mine], dtype=torch.int64),
                    "masks": rles,
                },
            }
        )
    return samples


def our_numbers(folder, truth, samples, metric=("segm", "bbox")):
    path = folder / "truth.json"
    path.write_text(json.dumps(truth))
    evaluator = CellCocoMetric(str(path), metric=metric, classwise=True)
    evaluator.dataset_meta = {"classes": CLASSES}
    evaluator.process({}, copy.deepcopy(samples))
    return evaluator.evaluate(len(samples))


def coco_numbers(truth, samples, iou_type):
    """The same keys from pycocotools: its own summary where that prints the number."""
    records = []
    for sample in samples:
        instances = sample["pred_instances"]
        for index, rle in enumerate(instances["masks"]):
            x1, y1, x2, y2 = instances["bboxes"][index].tolist()
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1]} if iou_type == "bbox" else {}
            records.append(
                {
                    "image_id": sample["img_id"],
                    "category_id": CATEGORY_IDS[int(instances["labels"][index])],
                    "segmentation": rle,
                    "score": float(instances["scores"][index]),
                    **box,
                }
            )

    def evaluate(caps):
        target = COCO()
        target.dataset = copy.deepcopy(truth)
        target.createIndex()
        if records:
            result = target.loadRes(copy.deepcopy(records))
        else:
            result = COCO()
            result.dataset = copy.deepcopy({**truth, "annotations": []})
            result.createIndex()
        evaluation = COCOeval(target, result, iou_type)
        evaluation.params.maxDets = caps
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return evaluation

    def mean(values):
        values = values[values > -1]
        return values.mean() if values.size else -1

    with contextlib.redirect_stdout(io.StringIO()):
        at_100 = evaluate([1, 10, 100])
        at_1000 = evaluate([1, 100, 1000])
    precision, precision_at_100 = at_1000.eval["precision"], at_100.eval["precision"]
    numbers = {
        "mAP": mean(precision[..., 0, 2]),
        "mAP_50": at_1000.stats[1],
        "mAP_75": at_1000.stats[2],
        "mAP_s": at_1000.stats[3],
        "mAP_m": at_1000.stats[4],
        "mAP_l": at_1000.stats[5],
        "AR_100": at_1000.stats[7],
        "AR_1000": at_1000.stats[8],
        "mAP_dets100": at_100.stats[0],
        "mAP_50_dets100": at_100.stats[1],
        "mAP_75_dets100": at_100.stats[2],
    }
    for name, category_id in zip(CLASSES, CATEGORY_IDS, strict=True):
        index = at_1000.params.catIds.index(category_id)
        for key, thresholds in (("mAP", slice(None)), ("mAP_50", 0), ("mAP_75", 5)):
            numbers[f"{key}_{name}"] = mean(precision[thresholds, :, index, 0, 2])
            numbers[f"{key}_dets100_{name}"] = mean(precision_at_100[thresholds, :, index, 0, 2])
    # -1 is pycocotools' word for "no truth".
    return {
        f"coco/{iou_type}_{key}": math.nan if value == -1 else value
        for key, value in numbers.items()
    }


def assert_equal_to_pycocotools(folder, truth, samples):
    expected = coco_numbers(truth, samples, "segm") | coco_numbers(truth, samples, "bbox")
    actual = our_numbers(folder, truth, samples)
    assert actual == pytest.approx(expected, abs=1e-9, nan_ok=True)
    return actual


def random_bitmaps(rng, size, count):
    """Rectangles of every COCO size, some with holes."""
    bitmaps = []
    for _ in range(count):
        width, height = (1 + (size - 1) * rng.random(2) ** 2).astype(int)
        x, y = rng.integers(0, size - width + 1), rng.integers(0, size - height + 1)
        bitmap = rectangle(size, x, y, width, height)
        if rng.random() < 0.3:
            bitmap &= rng.random((size, size)) < 0.9
            bitmap[y, x] = True
        bitmaps.append(bitmap)
    return bitmaps


def random_case(rng, num_images, truths, detections, size=40, crowd=0.0, score_levels=None):
    """Truth and detections, half of which are shifted truths."""
    labels = rng.integers(0, len(CLASSES), truths)
    image_ids = rng.integers(1, num_images + 1, truths)
    instances = [
        (int(image_id), int(label), bitmap, int(rng.random() < crowd))
        for image_id, label, bitmap in zip(
            image_ids, labels, random_bitmaps(rng, size, truths), strict=True
        )
    ]
    found = []
    for bitmap in random_bitmaps(rng, size, detections):
        image_id, label = int(rng.integers(1, num_images + 1)), int(rng.integers(len(CLASSES)))
        if instances and rng.random() < 0.6:
            image_id, label, bitmap, _ = instances[rng.integers(len(instances))]
            bitmap = np.roll(bitmap, rng.integers(-1, 2, 2), axis=(0, 1))
        score = rng.random()
        if score_levels:
            score = round(score * score_levels) / score_levels
        found.append((image_id, label, bitmap, score))
    return make_truth(num_images, size, instances), make_samples(num_images, found)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_images=st.integers(1, 4),
    truths=st.integers(0, 12),
    detections=st.integers(0, 20),
    size=st.sampled_from([5, 40, 120]),
    crowd=st.sampled_from([0.0, 0.3]),
    score_levels=st.sampled_from([None, 1, 4]),
)
def test_random_cases(tmp_path_factory, seed, **case):
    truth, samples = random_case(np.random.default_rng(seed), **case)

    assert_equal_to_pycocotools(tmp_path_factory.mktemp("case"), truth, samples)


def test_every_size_of_truth(tmp_path):
    truth, samples = random_case(np.random.default_rng(1), 3, 40, 60, size=120)

    numbers = assert_equal_to_pycocotools(tmp_path, truth, samples)

    assert all(0 < numbers[f"coco/segm_mAP_{size}"] < 1 for size in "sml")


def test_score_ties(tmp_path):
    truth, samples = random_case(np.random.default_rng(2), 3, 30, 90, score_levels=2)

    assert_equal_to_pycocotools(tmp_path, truth, samples)


def test_crowd(tmp_path):
    truth, samples = random_case(np.random.default_rng(3), 2, 30, 60, crowd=0.5)

    assert_equal_to_pycocotools(tmp_path, truth, samples)


def test_over_100_detections_in_an_image(tmp_path):
    truth, samples = random_case(np.random.default_rng(4), 1, 30, 450, size=24)

    numbers = assert_equal_to_pycocotools(tmp_path, truth, samples)

    assert numbers["coco/segm_AR_1000"] > numbers["coco/segm_AR_100"]


def test_over_1000_detections_of_one_class(tmp_path):
    bitmaps = random_bitmaps(np.random.default_rng(5), 16, 1050)
    target = rectangle(16, 3, 4, 5, 6)
    truth = make_truth(1, 16, [(1, 0, target, 0), (1, 0, bitmaps[500], 0)])
    # The only match of the first truth is beyond the cap of 1000; the second's is beyond 100.
    scores = np.linspace(1, 0.1, len(bitmaps))
    bitmaps[-1] = target
    detections = [(1, 0, b, s) for b, s in zip(bitmaps, scores, strict=True)]

    numbers = assert_equal_to_pycocotools(tmp_path, truth, make_samples(1, detections))

    assert numbers["coco/segm_mAP_75_dets100_epithelial"] == 0
    assert numbers["coco/segm_mAP_75_epithelial"] > 0


def test_no_detections(tmp_path):
    truth, samples = random_case(np.random.default_rng(6), 3, 12, 0)

    numbers = assert_equal_to_pycocotools(tmp_path, truth, samples)

    assert numbers["coco/segm_mAP"] == numbers["coco/segm_AR_1000"] == 0
    assert numbers["coco/segm_mAP_epithelial"] == 0


def test_no_images_evaluated(tmp_path):
    truth, _ = random_case(np.random.default_rng(6), 3, 12, 0)

    assert our_numbers(tmp_path, truth, [])["coco/segm_mAP_50"] == 0


def test_no_truth_is_undefined(tmp_path):
    truth, samples = random_case(np.random.default_rng(7), 3, 0, 12)

    numbers = assert_equal_to_pycocotools(tmp_path, truth, samples)

    assert all(math.isnan(value) for value in numbers.values())


def test_class_without_truth_is_left_out_of_the_mean(tmp_path):
    cell = rectangle(20, 2, 3, 6, 7)
    other = rectangle(20, 12, 12, 5, 5)
    truth = make_truth(1, 20, [(1, 0, cell, 0), (1, 1, other, 0)])
    samples = make_samples(1, [(1, 0, cell, 0.9), (1, 2, other, 0.8)])

    numbers = assert_equal_to_pycocotools(tmp_path, truth, samples)

    assert numbers["coco/segm_mAP"] == pytest.approx(0.5)
    assert numbers["coco/segm_mAP_epithelial"] == pytest.approx(1)
    assert numbers["coco/segm_mAP_lymphocyte"] == 0
    assert math.isnan(numbers["coco/segm_mAP_neutrophil"])
    assert math.isnan(numbers["coco/segm_mAP_l"])


def test_false_positives_in_images_without_truth_count(tmp_path):
    cell = rectangle(20, 2, 3, 6, 7)
    truth = make_truth(3, 20, [(1, 0, cell, 0)])
    samples = make_samples(3, [(1, 0, cell, 0.5), (2, 0, cell, 0.9), (3, 0, cell, 0.8)])

    numbers = assert_equal_to_pycocotools(tmp_path, truth, samples)

    assert numbers["coco/segm_mAP"] == pytest.approx(1 / 3)


def test_repeated_detections(tmp_path):
    truth, samples = random_case(np.random.default_rng(8), 2, 10, 20)
    for sample in samples:
        instances = sample["pred_instances"]
        for key in ("bboxes", "scores", "labels"):
            instances[key] = torch.cat([instances[key]] * 2)
        instances["masks"] = instances["masks"] * 2

    assert_equal_to_pycocotools(tmp_path, truth, samples)


def test_boxes_without_area(tmp_path):
    cell = rectangle(20, 2, 3, 6, 7)
    truth = make_truth(1, 20, [(1, 0, cell, 0), (1, 1, cell, 0)])
    samples = make_samples(1, [(1, 0, cell, 0.9), (1, 0, cell, 0.5), (1, 1, cell, 0.4)])
    samples[0]["pred_instances"]["bboxes"][[0, 2], 2:] = 0

    assert_equal_to_pycocotools(tmp_path, truth, samples)


def test_an_empty_mask_counts_neither_here_nor_in_the_dumped_file(tmp_path):
    cell, nothing = rectangle(20, 2, 3, 6, 7), np.zeros((20, 20), bool)
    truth = make_truth(1, 20, [(1, 0, cell, 0), (1, 1, cell, 0)])
    found = [(1, 0, nothing, 0.9), (1, 0, cell, 0.5), (1, 1, nothing, 0.4)]
    samples = make_samples(1, found)

    numbers = our_numbers(tmp_path, truth, samples)
    # The only cell of class 0 is found by the only mask; as a false positive before it, the empty
    # mask would halve the AP. Class 1 has nothing.
    assert [numbers[f"coco/segm_mAP_50_{name}"] for name in CLASSES[:2]] == [1.0, 0.0]
    dumper = PredictionDumper(str(tmp_path / "found.json"), str(tmp_path / "truth.json"))
    dumper.dataset_meta = {"classes": CLASSES}
    dumper.process({}, samples)
    assert dumper.evaluate(1)["dump/detections"] == 1
    assert [r["score"] for r in json.loads((tmp_path / "found.json").read_text())] == [0.5]
    assert numbers == pytest.approx(
        our_numbers(tmp_path, truth, make_samples(1, found[1:2])), nan_ok=True
    )


def test_two_truths_on_the_same_pixels(tmp_path):
    cell = rectangle(20, 2, 3, 6, 7)
    truth = make_truth(1, 20, [(1, 0, cell, 0), (1, 0, cell, 0), (1, 0, cell, 1)])
    samples = make_samples(1, [(1, 0, cell, score) for score in (0.9, 0.9, 0.3, 0.2)])

    assert_equal_to_pycocotools(tmp_path, truth, samples)


def test_images_that_were_not_evaluated_count_as_empty(tmp_path):
    truth, samples = random_case(np.random.default_rng(9), 4, 20, 40)

    expected = coco_numbers(truth, samples[:2], "segm")
    actual = our_numbers(tmp_path, truth, samples[:2], metric="segm")

    assert actual == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_an_image_seen_twice_counts_once(tmp_path):
    truth, samples = random_case(np.random.default_rng(10), 2, 20, 40)
    evaluator = [*samples, samples[0], samples[1]]

    assert our_numbers(tmp_path, truth, evaluator) == pytest.approx(
        our_numbers(tmp_path, truth, samples), nan_ok=True
    )


class Masks:
    """Only a length and an index, no iteration protocol of a list."""

    def __init__(self, rles):
        self._rles = rles

    def __len__(self):
        return len(self._rles)

    def __getitem__(self, index):
        if not isinstance(index, int) or not 0 <= index < len(self._rles):
            raise TypeError(index)
        return self._rles[index]


@pytest.mark.parametrize("form", ["tensor", "bytes", "sequence"])
def test_forms_of_masks(tmp_path, form):
    truth, samples = random_case(np.random.default_rng(11), 3, 20, 40)
    expected = our_numbers(tmp_path, truth, samples)
    for sample in samples:
        instances = sample["pred_instances"]
        rles = instances["masks"]
        if form == "tensor":
            bitmaps = np.stack([coco_mask.decode(rle) for rle in rles])
            instances["masks"] = torch.from_numpy(bitmaps).bool()
        elif form == "bytes":
            instances["masks"] = [{**rle, "counts": rle["counts"].encode()} for rle in rles]
        else:
            instances["masks"] = Masks(rles)

    assert our_numbers(tmp_path, truth, samples) == pytest.approx(expected, nan_ok=True)


def test_through_the_evaluator_of_mmengine(tmp_path):
    truth, samples = random_case(np.random.default_rng(12), 3, 20, 40)
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(truth))
    evaluator = Evaluator({"type": "mmdet.CellCocoMetric", "ann_file": str(path), "prefix": "val"})
    evaluator.dataset_meta = {"classes": CLASSES}

    # Two validations after each other: the truth is reused.
    for _ in range(2):
        for sample in samples:
            evaluator.process([sample])
        numbers = evaluator.evaluate(len(samples))

    expected = coco_numbers(truth, samples, "segm")
    assert set(numbers) == {
        f"val/segm_{key}"
        for key in (
            *("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l", "AR_100", "AR_1000"),
            *("mAP_dets100", "mAP_50_dets100", "mAP_75_dets100"),
        )
    }
    for key, value in numbers.items():
        assert value == pytest.approx(expected[key.replace("val", "coco")], abs=1e-9, nan_ok=True)


def small_case():
    cell = rectangle(20, 2, 3, 6, 7)
    return make_truth(1, 20, [(1, 0, cell, 0)]), make_samples(1, [(1, 0, cell, 0.9)])


@pytest.mark.parametrize("ids", [(0,), (1, 1)])
def test_annotation_ids_that_coco_cannot_match_are_refused(tmp_path, ids):
    truth, samples = small_case()
    truth["annotations"] = [{**truth["annotations"][0], "id": index} for index in ids]

    with pytest.raises(ValueError, match="must be unique and start at 1"):
        our_numbers(tmp_path, truth, samples)


def test_unknown_class_names_are_refused(tmp_path):
    truth, samples = small_case()
    truth["categories"] = [{"id": 7, "name": "nucleus"}]

    with pytest.raises(ValueError, match=r"'lymphocyte'.*'nucleus'"):
        our_numbers(tmp_path, truth, samples)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_refused(tmp_path, score):
    truth, samples = small_case()
    samples[0]["pred_instances"]["scores"][0] = score

    with pytest.raises(ValueError, match="not finite for image 1"):
        our_numbers(tmp_path, truth, samples)


def test_an_unknown_image_is_refused(tmp_path):
    truth, samples = small_case()
    samples[0]["img_id"] = 12

    with pytest.raises(ValueError, match="image 12, which is not in"):
        our_numbers(tmp_path, truth, samples)


def test_masks_of_another_size_are_refused(tmp_path):
    truth, _ = small_case()
    samples = make_samples(1, [(1, 0, rectangle(21, 2, 3, 6, 7), 0.9)])

    with pytest.raises(ValueError, match="predict at the original size"):
        our_numbers(tmp_path, truth, samples)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"segmentation": {"size": [20, 20], "counts": "000009999"}}, "Annotation 1 of .* cannot"),
        ({"segmentation": {"size": [20, 21], "counts": "0"}}, "Annotation 1 of .* size is"),
        ({"segmentation": {"counts": "0"}}, "Annotation 1 of .* `size` and `counts`"),
        ({"segmentation": {"size": [20, 20]}}, "Annotation 1 of .* `size` and `counts`"),
        ({"segmentation": {"size": [20, 20], "counts": [0, 10**9]}}, "Annotation 1 of .* cover"),
        ({"segmentation": [["a"] * 6]}, "Annotation 1 of .* polygon"),
        ({"segmentation": None}, "Annotation 0 of .* no usable segmentation"),
        ({"segmentation": []}, "Annotation 0 of .* no usable segmentation"),
        ({"area": None}, "Annotation 0 of .* no usable area"),
        ({"area": float("nan")}, "Annotation 0 of .* no usable area"),
        ({"bbox": "none"}, "Annotation 0 of .* no usable bbox"),
        ({"bbox": []}, "Annotation 0 of .* no usable bbox"),
        ({"bbox": ["a"] * 4}, "Annotation 0 of .* no usable bbox"),
        ({"id": "one"}, "Annotation 0 of .* no usable id"),
        ({"id": True}, "Annotation 0 of .* no usable id"),
        ({"image_id": 2}, "Annotation 0 of .* no usable image_id"),
    ],
)
def test_damaged_truth_is_refused(tmp_path, changed, complaint):
    truth, samples = small_case()
    truth["annotations"][0] |= changed

    with pytest.raises(ValueError, match=complaint):
        our_numbers(tmp_path, truth, samples)


def test_masks_of_several_sizes_are_refused(tmp_path):
    truth, _ = small_case()
    cell = rectangle(20, 2, 3, 6, 7)
    samples = make_samples(1, [(1, 0, cell, 0.9), (1, 0, cell[:, :10], 0.8)])

    with pytest.raises(ValueError, match="several sizes"):
        our_numbers(tmp_path, truth, samples)


def test_labels_beyond_the_classes_are_refused(tmp_path):
    truth, samples = small_case()
    samples[0]["pred_instances"]["labels"][0] = 3

    with pytest.raises(ValueError, match=r"labels up to 3.*3 classes"):
        our_numbers(tmp_path, truth, samples)


def test_missing_masks_and_uneven_lengths_are_refused(tmp_path):
    truth, samples = small_case()
    samples[0]["pred_instances"]["labels"] = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="2 labels and 1 masks"):
        our_numbers(tmp_path, truth, samples)

    del samples[0]["pred_instances"]["masks"]
    with pytest.raises(ValueError, match="no masks for image 1"):
        our_numbers(tmp_path, truth, samples)


def test_arguments_are_checked(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"prepare\.py"):
        CellCocoMetric(str(tmp_path / "absent.json"))
    with pytest.raises(ValueError, match="'segm', 'bbox' or both"):
        CellCocoMetric("truth.json", metric="proposal")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(ValueError, match="not readable JSON"):
        CellCocoMetric(str(broken))
    broken.write_text("[]")
    with pytest.raises(ValueError, match="not a COCO file"):
        CellCocoMetric(str(broken))


def test_a_class_called_50_is_not_the_ap_at_50(tmp_path):
    masks = [rectangle(40, x, 0, 10, 10) for x in (0, 15, 30)]
    truth = make_truth(1, 40, [(1, 0, masks[0], 0), (1, 1, masks[1], 0), (1, 2, masks[2], 0)])
    names = ("a", "50", "50_a")
    truth["categories"] = [c | {"name": n} for c, n in zip(CATEGORIES, names, strict=True)]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    metric = CellCocoMetric(str(tmp_path / "truth.json"), metric="segm", classwise=True)
    metric.dataset_meta = {"classes": names}
    metric.process({}, make_samples(1, [(1, 0, masks[0], 0.9)]))  # only the first is found
    found = metric.evaluate(1)

    assert found["coco/segm_mAP_50"] == pytest.approx(1 / 3)
    assert found["coco/segm_mAP_a"] == found["coco/segm_mAP_50_class_a"] == 1
    assert found["coco/segm_mAP_class_50"] == found["coco/segm_mAP_50_a"] == 0
