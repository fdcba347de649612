"""A small data set in each format that data_prep/convert.py reads."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from roifile import ROI_TYPE, ImagejRoi
from scipy.io import savemat

SIDE = 48
_SQUARES = ((3, 3), (3, 12), (14, 5), (30, 30), (40, 2), (43, 43))


def make_sets(folder: Path) -> dict[str, Path]:
    """Make them anew.

    Args:
        folder: Folder to make, with one in it for each format.

    Returns:
        The folders by format.
    """
    made = {}
    for name, write in WRITERS.items():
        made[name] = folder / name
        made[name].mkdir(parents=True)
        write(made[name])
    return made


def _labels() -> np.ndarray:
    """(48, 48) ids of six squares of 5 × 5 pixels."""
    labels = np.zeros((SIDE, SIDE), np.uint16)
    for number, (row, column) in enumerate(_SQUARES, start=1):
        labels[row : row + 5, column : column + 5] = number
    return labels


def _ring(row: int, column: int) -> list[list[int]]:
    return [[column, row], [column + 5, row], [column + 5, row + 5], [column, row + 5]]


RINGS = [_ring(*place) for place in _SQUARES]


def _image(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib")
    else:
        Image.fromarray(pixels).save(path)
    return path


def _file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _qupath(root: Path) -> None:
    features = [
        {
            "type": "Feature",
            "id": "PathAnnotationObject" if number % 2 else "a1b2",
            "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
            "properties": {
                "objectType": ("detection", "annotation", "cell")[number % 3],
                "classification": {"name": "ab"[number % 2], "color": [1, 2, 3]},
            },
        }
        for number, ring in enumerate(RINGS)
    ]
    features[2]["nucleusGeometry"] = features[3]["geometry"]
    features[5]["geometry"] = {
        "type": "MultiPolygon",
        "coordinates": [features[n]["geometry"]["coordinates"] for n in (4, 5)],
    }
    text = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    (root / "a.geojson").write_bytes(text)
    (root / "b.geojson.gz").write_bytes(gzip.compress(text))
    _image(root / "a.png")
    _image(root / "b.tif")


def _coco(root: Path) -> None:
    size = [SIDE, SIDE]
    segmentations: list[object] = [[np.ravel(ring).tolist()] for ring in RINGS[:4]]
    segmentations.append({"size": size, "counts": [50, 5, 43, 5, SIDE * SIDE - 103]})
    segmentations.append({"size": size, "counts": "b15[15[1X9"})
    record = {
        "images": [
            {"id": n, "file_name": f"images/{name}", "height": SIDE, "width": SIDE}
            for n, name in enumerate(("a.png", "b.png"), start=1)
        ],
        "annotations": [
            {
                **{"id": n, "image_id": n % 2 + 1, "category_id": n % 3 + 1, "iscrowd": n // 5},
                **{"segmentation": segmentation, "bbox": [0, 0, 5, 5], "area": 25},
            }
            for n, segmentation in enumerate(segmentations)
        ],
        "categories": [{"id": n, "name": "xyz"[n - 1]} for n in (1, 2, 3)],
    }
    (root / "instances.json").write_text(json.dumps(record))
    _image(root / "images/a.png")
    _image(root / "images/b.png", 1)


def _labelme(root: Path) -> None:
    mask = base64.b64encode(_png(np.full((3, 3), 255, np.uint8), root)).decode()
    shapes = [
        {"label": "a", "points": ring, "shape_type": "polygon", "group_id": n % 2 or None}
        for n, ring in enumerate(RINGS)
    ]
    shapes += [
        {"label": "b", "points": [[1, 1], [9, 8]], "shape_type": kind}
        for kind in ("rectangle", "circle", "line")
    ]
    shapes.append({"label": "c", "points": [[4, 4], [6, 6]], "shape_type": "mask", "mask": mask})
    record = {"shapes": shapes, "imagePath": "a.png", "imageHeight": SIDE, "imageWidth": SIDE}
    (root / "a.json").write_text(json.dumps({**record, "imageData": None}))
    data = base64.b64encode(_image(root / "a.png").read_bytes()).decode()
    (root / "b.json").write_text(json.dumps({**record, "imageData": data}))


def _png(pixels: np.ndarray, folder: Path) -> bytes:
    path = folder / "unused.png"
    Image.fromarray(pixels).save(path)
    content = path.read_bytes()
    path.unlink()
    return content


def _label_images(root: Path) -> None:
    labels = _labels()
    for name in "abcd":
        _image(root / f"{name}.png")
    np.save(root / "a_seg.npy", {"masks": labels, "flows": [labels, []], "filename": "a.png"})
    np.save(root / "b.npy", labels)
    Image.fromarray(labels).save(root / "c_masks.png")
    tifffile.imwrite(root / "d_labels.tif", labels, compression="zlib")
    rows = [f"{image},{number},x" for image in "abcd" for number in range(1, 7)]
    (root / "classes.csv").write_text("\n".join(["image,id,class", *rows]))


def _imagej(root: Path) -> None:
    _image(root / "a.tif")
    with zipfile.ZipFile(root / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, ring in enumerate(RINGS):
            shift = 0.25 * (number % 2)  # with and without parts of pixels
            roi = ImagejRoi.frompoints(np.array(ring) + shift, name=f"{number}_a")
            archive.writestr(f"{number}.roi", roi.tobytes())
        path = [x for n, point in enumerate(RINGS[0]) for x in (min(n, 1), *point)] + [4]
        data = np.array(path, np.float32)
        combined = ImagejRoi(
            **{"roitype": ROI_TYPE.RECT, "right": 9, "bottom": 9, "shape_roi_size": len(data)},
            multi_coordinates=data,
        )
        archive.writestr("combined.roi", combined.tobytes())


def _xml(label: str) -> str:
    regions = "".join(
        "<Region><Vertices>"
        + "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in ring)
        + "</Vertices></Region>"
        for ring in RINGS
    )
    return (
        '<Annotations MicronsPerPixel="0.25"><Annotation Id="1"><Attributes><Attribute Name='
        f'"{label}" Value=""/></Attributes><Regions>{regions}</Regions></Annotation></Annotations>'
    )


def _monusac(root: Path) -> None:
    name = "TCGA-XX-0001-01Z-00-DX1"
    _image(root / name / f"{name}_1.tif")
    (root / name / f"{name}_1.xml").write_text(_xml("Epithelial"))


def _monuseg(root: Path) -> None:
    _image(root / "Tissue Images/TCGA-XX-0001.tif")
    _file(root / "Annotations/TCGA-XX-0001.xml").write_text(_xml("Description"))


def _consep(root: Path) -> None:
    _image(root / "Train/Images/train_1.png")
    labels = _labels().astype(np.float64)
    arrays = {"inst_map": labels, "type_map": np.minimum(labels, 7)}
    types = np.arange(1.0, 7).reshape(-1, 1)
    path = _file(root / "Train/Labels/train_1.mat")
    savemat(path, {**arrays, "inst_type": types, "inst_centroid": np.ones((6, 2))})


def _lizard(root: Path) -> None:
    _image(root / "Lizard_Images1/consep_1.png")
    ids = np.arange(1, 7).reshape(-1, 1)
    path = _file(root / "Lizard_Labels/Labels/consep_1.mat")
    savemat(path, {"inst_map": _labels(), "id": ids, "class": ids.astype(np.uint8)})


def _pannuke(root: Path) -> None:
    folder = root / "Fold 1"
    rng = np.random.default_rng(0)
    masks = np.zeros((2, SIDE, SIDE, 6))
    masks[0, ..., 1] = _labels()
    images = rng.integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.float64)
    np.save(_file(folder / "images/fold1/images.npy"), images)
    np.save(folder / "images/fold1/types.npy", np.array(["Breast", "Colon"]))
    np.save(_file(folder / "masks/fold1/masks.npy"), masks)


def _conic(root: Path) -> None:
    labels = _labels()
    pixels = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    np.save(root / "images.npy", pixels)
    np.save(root / "labels.npy", np.stack([np.stack([labels, labels], axis=-1)] * 2))
    (root / "patch_info.csv").write_text("patch_info\nconsep_1-0000\nglas_2-0001\n")


def _nuinsseg(root: Path) -> None:
    _image(root / "human liver/tissue images/human_liver_01.png")
    path = _file(root / "human liver/label masks modify/human_liver_01.tif")
    tifffile.imwrite(path, _labels())


def _puma(root: Path) -> None:
    _image(root / "01_training_dataset_tif_ROIs/training_set_primary_roi_001.tif")
    names = ("nuclei_tumor", "nuclei_stroma")
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
            "properties": {"classification": {"name": names[number % 2]}},
        }
        for number, ring in enumerate(RINGS)
    ]
    folder = root / "01_training_dataset_geojson_nuclei"
    path = _file(folder / "training_set_primary_roi_001_nuclei.geojson")
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def _nucls(root: Path) -> None:
    name = "TCGA-XX-0001-DX1_id-5ea_left-1_top-2"
    _image(root / f"rgb/{name}.png")
    inside = np.zeros((SIDE, SIDE, 3), np.uint8)
    inside[..., 0] = 253
    Image.fromarray(inside).save(_file(root / f"mask/{name}.png"))
    with _file(root / f"csv/{name}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        head = ("raw_classification", "type", "xmin", "ymin", "xmax", "ymax")
        writer.writerow([*head, "coords_x", "coords_y"])
        for number, ring in enumerate(RINGS):
            (x1, y1), (x2, y2) = ring[0], ring[2]
            kind = ("polyline", "rectangle")[number % 2]
            places = [",".join(str(point[axis]) for point in ring) for axis in (0, 1)]
            writer.writerow(["tumor", kind, x1, y1, x2, y2, *places])


def _tnbc(root: Path) -> None:
    _image(root / "Slide_01/01_1.png")
    truth = np.where(_labels() > 0, 255, 0).astype(np.uint8)
    Image.fromarray(truth).save(_file(root / "GT_01/01_1.png"))


def _dsb2018(root: Path) -> None:
    _image(root / "stage1_train/ab/images/ab.png")
    for number in range(1, 7):
        mask = np.where(_labels() == number, 255, 0).astype(np.uint8)
        Image.fromarray(mask).save(_file(root / f"stage1_train/ab/masks/{number}.png"))


WRITERS: dict[str, Callable[[Path], None]] = {
    "qupath": _qupath,
    "coco": _coco,
    "labelme": _labelme,
    "label-images": _label_images,
    "imagej": _imagej,
    "monusac": _monusac,
    "consep": _consep,
    "pannuke": _pannuke,
    "lizard": _lizard,
    "conic": _conic,
    "nuinsseg": _nuinsseg,
    "puma": _puma,
    "nucls": _nucls,
    "monuseg": _monuseg,
    "tnbc": _tnbc,
    "dsb2018": _dsb2018,
}
"""What writes a set into an empty folder, by format."""
