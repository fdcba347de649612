"""HTML pages from the templates in `templates/`; everything that is filled in gets escaped."""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cellseg_mm.analysis.errors.bootstrap import Interval
from cellseg_mm.reporting.image_files import jpeg_data_uri

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render(template: str, **content: Any) -> str:
    """Fill a template in.

    Args:
        template: Name of a file in `templates/`.
        **content: What it shows, by name; a name that is missing is an error.

    Returns:
        The page: one file that asks nothing of a network.
    """
    return _environment().get_template(template).render(content)


def number(value: float, digits: int = 3) -> str:
    """A number as text, a dash where it is undefined."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def interval_ends(interval: Interval) -> str:
    """The ends of an interval as text; empty where there is none."""
    return "" if math.isnan(interval.low) else f"{number(interval.low)} to {number(interval.high)}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {
        "ensure_ascii": False,
        "separators": (",", ":"),
        "allow_nan": False,
    }
    environment.filters |= {
        "count": "{:,}".format,
        "ends": interval_ends,
        "extract": lambda key, mapping: mapping[key],
        "jpeg": jpeg_data_uri,
        "number": number,
        "svg": _svg,
    }
    environment.globals["asset"] = _asset
    return environment


def _svg(figure: Figure, name: str, words: str) -> Markup:
    from cellseg_mm.reporting.figure_style import inline_svg  # Matplotlib takes a while

    return Markup(inline_svg(figure, name, words))


def _asset(name: str) -> Markup:
    return Markup(files(__package__).joinpath("templates", name).read_text(encoding="utf-8"))
