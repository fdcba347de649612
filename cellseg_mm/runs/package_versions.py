"""Versions of the packages that results depend on."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    *("cellseg-mm", "torch", "torchvision", "onedl-mmengine", "onedl-mmcv", "onedl-mmdetection"),
    *("onedl-mmpretrain", "timm", "albumentations", "numpy", "scipy", "opencv-python-headless"),
    *("pycocotools", "faster-coco-eval", "matplotlib"),
)


def package_versions() -> dict[str, str | None]:
    """The versions as installed now, by name; None of a package that is not."""
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions
