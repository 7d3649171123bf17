"""All figures for publication, made with matplotlib and without pyplot.

Sizes are in inches, for one or two columns of a paper, text has at least 7 pt, the ground is white. Clean is blue and
adversarial is orange in all of them. Figures are returned, not shown; ``save`` writes them.
"""

from core.figures.charts import curves
from core.figures.clouds import cloud_rows, contact_sheet
from core.figures.evaluation import (
    class_counts,
    confidence_boxes,
    confusion_pair,
    reliability,
    robustness_curves,
    top_k,
)
from core.figures.images import image_rows
from core.figures.maps import tsne_pair
from core.figures.samples import sample_bars, verdicts
from core.figures.style import COLUMN, PAGE, check_ending, class_style, save, settle
from core.figures.tradeoff import ParetoPoint, front, pareto
from core.figures.transfer import pair_map, rates_against, transfer_bars

__all__ = [
    "COLUMN",
    "PAGE",
    "ParetoPoint",
    "check_ending",
    "class_counts",
    "class_style",
    "cloud_rows",
    "confidence_boxes",
    "confusion_pair",
    "contact_sheet",
    "curves",
    "front",
    "image_rows",
    "pair_map",
    "pareto",
    "rates_against",
    "reliability",
    "robustness_curves",
    "sample_bars",
    "save",
    "settle",
    "top_k",
    "transfer_bars",
    "tsne_pair",
    "verdicts",
]
