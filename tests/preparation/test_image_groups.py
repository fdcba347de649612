from __future__ import annotations

import pytest

from cellseg_mm.preparation.image_groups import group_images, patient_of


@pytest.mark.parametrize(
    ("name", "regex", "patient"),
    [
        ("TCGA-2Z-A9JG-01Z-00-DX1_3", None, "TCGA-2Z-A9JG"),
        ("c8cb7626-7423-4c1e-a81c-5ff25ea180b3", None, None),
        ("slide7_crop3", r"^slide\d+", "slide7"),
        ("slide7_crop3", r"slide(\d+)_", "7"),
        ("other", r"slide(\d+)_", None),
    ],
)
def test_patient(name, regex, patient):
    assert patient_of(name, regex) == patient


def test_images_of_a_patient_or_of_the_same_content_belong_together():
    names = ["TCGA-AA-0001_1", "TCGA-AA-0001_2", "TCGA-BB-0002_1", "x", "y", "z"]
    #        patient A         patient A, = B    patient B         = y
    groups = group_images(
        names, ["p", "q", "q", "r", "r", "s"], [patient_of(name) for name in names]
    )
    assert len(set(groups[:3])) == 1
    assert groups[3] == groups[4]
    assert len(set(groups)) == 3
