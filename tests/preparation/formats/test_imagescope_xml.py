from __future__ import annotations

from pathlib import Path

import pytest

from cellseg_mm.preparation.formats.imagescope_xml import read_annotations
from cellseg_mm.preparation.problems import BadFileError

CLASSES = ("epithelial", "neutrophil", "ambiguous")


def _write(path: Path, body: str, head: str = "") -> Path:
    path.write_text(f'{head}<Annotations MicronsPerPixel="0.25">{body}</Annotations>')
    return path


def _annotation(label: str, regions: str) -> str:
    return (
        f'<Annotation Id="1" Name="Layer 1"><Attributes><Attribute Name="{label}" Value=""/>'
        '</Attributes><Regions><RegionAttributeHeaders><AttributeHeader Name="Region"/>'
        f"</RegionAttributeHeaders>{regions}</Regions><Plots/></Annotation>"
    )


def _outline(*points: tuple[float, float]) -> str:
    vertices = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in points)
    # A region may have attributes of its own; they do not name the class.
    return (
        '<Region Id="1"><Attributes><Attribute Name="note"/></Attributes>'
        f"<Vertices>{vertices}</Vertices></Region>"
    )


def test_regions_come_in_file_order(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.xml",
        _annotation("Neutrophil", _outline((1, 2), (3.5, 4), (5, 6)))
        + _annotation("Epithelial", "")
        + _annotation("Ambiguous", _outline((7, 8)) + _outline()),
    )
    regions = read_annotations(path, CLASSES).regions
    assert [region.label for region in regions] == ["neutrophil", "ambiguous", "ambiguous"]
    assert regions[0].vertices.tolist() == [[1, 2], [3.5, 4], [5, 6]]
    assert [len(region.vertices) for region in regions] == [3, 1, 0]


@pytest.mark.parametrize(
    ("body", "head", "message"),
    [
        ("<Annotation>", "", "not readable as XML"),
        (_annotation("Fibroblast", ""), "", "'fibroblast' is unknown"),
        ("<Annotation><Regions><Region/></Regions></Annotation>", "", "no class name"),
        (_annotation("Epithelial", _outline(("a", 1))), "", "lacks a number"),  # type: ignore[arg-type]
        (_annotation("Epithelial", "<Region><Vertex X='1'/></Region>"), "", "lacks a number"),
        (_annotation("Epithelial", _outline((float("nan"), 1))), "", "a vertex lies at"),
        ("&a;", '<!DOCTYPE x [<!ENTITY a "b">]>', "DOCTYPE"),
        ("", '<!DOCTYPE x SYSTEM "file:///etc/hostname">', "DOCTYPE"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, body: str, head: str, message: str) -> None:
    path = _write(tmp_path / "a.xml", body, head)
    with pytest.raises(BadFileError, match=message) as caught:
        read_annotations(path, CLASSES)
    assert str(path) in str(caught.value)


def test_another_kind_of_xml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<html></html>")
    with pytest.raises(BadFileError, match="begins with <html>"):
        read_annotations(path, CLASSES)


def test_entities_are_refused_before_they_are_expanded(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(12))
    head = f'<!DOCTYPE lolz [<!ENTITY l0 "lol">{laughs}]>'
    with pytest.raises(BadFileError, match="DOCTYPE"):
        read_annotations(_write(tmp_path / "a.xml", "&l12;", head), CLASSES)


@pytest.mark.parametrize(
    ("attribute", "mpp"),
    [('MicronsPerPixel="0.252000"', 0.252), ("", None), ('MicronsPerPixel="0"', None)],
)
def test_the_scale_of_the_image(tmp_path: Path, attribute: str, mpp: float | None) -> None:
    path = tmp_path / "a.xml"
    path.write_text(f"<Annotations {attribute}/>")
    assert read_annotations(path, CLASSES) == ([], mpp)


def test_regions_without_classes(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.xml", _annotation("Description", _outline((1, 2), (3, 4), (5, 7))))
    (region,) = read_annotations(path, None).regions
    assert region.label == ""
    assert region.vertices.tolist() == [[1, 2], [3, 4], [5, 7]]
