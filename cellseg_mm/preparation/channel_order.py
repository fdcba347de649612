"""Which way round the colours of a data set are stored: by vote over its images.

Haematoxylin stains nuclei blue, eosin stains the tissue around them pink, so the pixels inside the
masks are bluer than those outside. One image can mislead (a crop full of macrophages, ink, a fold),
a data set does not, and a data set is written by one program: the order is decided once for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Order = Literal["rgb", "bgr"]


@dataclass(frozen=True)
class ChannelOrder:
    """The order of a data set's channels in its files.

    Attributes:
        order: "rgb" or "bgr".
        stated: Whether the user stated it; otherwise it was voted.
        rgb_votes: Images that look like RGB.
        bgr_votes: Images that look like BGR.
        abstentions: Images that cannot tell, such as those without cells.
    """

    order: Order
    stated: bool
    rgb_votes: int
    bgr_votes: int
    abstentions: int

    @property
    def doubt(self) -> str | None:
        """A warning where the vote deserves a look, else None."""
        winner, loser = self.rgb_votes, self.bgr_votes
        if self.order == "bgr":
            winner, loser = loser, winner
        if self.stated:
            if loser > winner:
                return (
                    f"The images look like the other channel order ({loser} against {winner} "
                    f"votes) than the stated {self.order}: look at a few of images/train/."
                )
            return None
        if winner < 3 * loser or winner < 3:
            return (
                f"The channel order {self.order} won by {winner} to {loser} votes of images: look "
                "at a few of images/train/ (nuclei are blue), and state --channel-order if they "
                "are brown."
            )
        return None


def blue_excess(pixels: npt.NDArray[np.uint8], cells: npt.NDArray[np.bool_]) -> float | None:
    """How much the third channel outweighs the first inside cells, compared with outside.

    Args:
        pixels: (H, W, 3 or 4) uint8 in the file's order.
        cells: (H, W) bool, True inside any cell.

    Returns:
        Mean of (third − first channel) over the cells minus that over the rest, grey levels:
        positive if the file looks like RGB, negative if like BGR. None where the image is all
        cells or has none.
    """
    inside = int(np.count_nonzero(cells))
    outside = cells.size - inside
    if not inside or not outside:
        return None
    difference = pixels[..., 2].astype(np.int64) - pixels[..., 0]
    total, total_inside = int(difference.sum()), int(difference[cells].sum())
    return total_inside / inside - (total - total_inside) / outside


def vote_channel_order(
    excesses: Iterable[float | None], stated: Order | None = None
) -> ChannelOrder | None:
    """Decide the order of a data set.

    Args:
        excesses: :func:`blue_excess` of each image with truth.
        stated: The order that the user stated, which wins over any vote.

    Returns:
        The order, or None if nothing tells: no image has both cells and tissue around them. A tie
        of votes is settled by the sum of the excesses.
    """
    excesses = list(excesses)
    values = [value for value in excesses if value]
    rgb = sum(1 for value in values if value > 0)
    bgr = len(values) - rgb
    balance = float(rgb - bgr) or sum(values)
    if stated is None and not balance:
        return None
    order: Order = stated or ("rgb" if balance > 0 else "bgr")
    return ChannelOrder(order, stated is not None, rgb, bgr, len(excesses) - len(values))


def to_rgb(pixels: npt.NDArray[np.uint8], order: Order) -> npt.NDArray[np.uint8]:
    """Bring (H, W, 3 or 4) pixels in the file's order to (H, W, 3) RGB; alpha is dropped."""
    return np.ascontiguousarray(pixels[..., :3] if order == "rgb" else pixels[..., 2::-1])


def as_record(decision: ChannelOrder) -> Mapping[str, object]:
    """The decision as `audit.json` holds it."""
    return {
        "order": decision.order,
        "decided_by": "argument or dataset.json" if decision.stated else "vote",
        "rgb_votes": decision.rgb_votes,
        "bgr_votes": decision.bgr_votes,
        "abstentions": decision.abstentions,
    }
