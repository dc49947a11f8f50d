"""The 16 VBench dimensions as one table: group, bounds, weight and the model that each one needs.

Source of every bound and weight: Vchitect/VBench at 45e79ec, ``scripts/constant.py``
(``NORMALIZE_DIC``, ``DIM_WEIGHT``, ``QUALITY_LIST``, ``SEMANTIC_LIST``, ``QUALITY_WEIGHT``,
``SEMANTIC_WEIGHT``). Models: the same commit, ``vbench/*.py``.
"""

from dataclasses import dataclass
from typing import Literal

Group = Literal["quality", "semantic"]

SOURCE = "Vchitect/VBench 45e79ec scripts/constant.py"
GROUP_WEIGHTS: dict[Group, float] = {"quality": 4.0, "semantic": 1.0}


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One VBench dimension.

    Attributes:
        name: Upstream's name in its result files.
        group: The group score that the dimension counts in.
        low: Raw value that normalises to 0.
        high: Raw value that normalises to 1. Values outside are not clipped, as upstream.
        weight: Weight inside the group.
        needs: The model that upstream runs for it; "none" if it needs no weights.
    """

    name: str
    group: Group
    low: float
    high: float
    weight: float = 1.0
    needs: str

    def __post_init__(self) -> None:
        """Rejects bounds that cannot normalise and weights that cannot average."""
        if not self.low < self.high or self.weight <= 0.0:
            raise ValueError(f"{self.name}: need low < high and weight > 0")

    def normalise(self, raw: float) -> float:
        """Maps a raw score to the scale on which dimensions are averaged.

        Args:
            raw: Upstream's aggregate for this dimension.

        Returns:
            (raw - low) / (high - low), not clipped and not weighted.

        Source:
            Vchitect/VBench 45e79ec scripts/cal_final_score.py, get_nomalized_score.
        """
        return (raw - self.low) / (self.high - self.low)


def _quality(name: str, low: float, high: float, needs: str, *, weight: float = 1.0) -> Dimension:
    return Dimension(name=name, group="quality", low=low, high=high, needs=needs, weight=weight)


def _semantic(name: str, low: float, high: float, needs: str) -> Dimension:
    return Dimension(name=name, group="semantic", low=low, high=high, needs=needs)


DIMENSIONS: tuple[Dimension, ...] = (
    _quality("subject_consistency", 0.1462, 1.0, "DINO ViT-B/16"),
    _quality("background_consistency", 0.2615, 1.0, "CLIP ViT-B/32"),
    _quality("temporal_flickering", 0.6293, 1.0, "none"),
    _quality("motion_smoothness", 0.706, 0.9975, "AMT-S"),
    _quality("dynamic_degree", 0.0, 1.0, "RAFT", weight=0.5),
    _quality("aesthetic_quality", 0.0, 1.0, "CLIP ViT-L/14 + LAION head"),
    _quality("imaging_quality", 0.0, 1.0, "MUSIQ-SPAQ"),
    _semantic("object_class", 0.0, 1.0, "GRiT"),
    _semantic("multiple_objects", 0.0, 1.0, "GRiT"),
    _semantic("human_action", 0.0, 1.0, "UMT-L/16"),
    _semantic("color", 0.0, 1.0, "GRiT (dense captions)"),
    _semantic("spatial_relationship", 0.0, 1.0, "GRiT"),
    _semantic("scene", 0.0, 0.8222, "Tag2Text + BERT"),
    _semantic("appearance_style", 0.0009, 0.2855, "CLIP ViT-B/32"),
    _semantic("temporal_style", 0.0, 0.364, "ViCLIP"),
    _semantic("overall_consistency", 0.0, 0.364, "ViCLIP"),
)
