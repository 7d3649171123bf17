"""Every publishable figure, made with matplotlib and without pyplot.

Sizes are in inches, for one or two columns of a paper, text has at least 7 pt, the ground is white. Clean is blue and
adversarial is orange in all of them. Figures are returned, not shown; ``save`` writes them.
"""

from core.figures.charts import confidence_bars, curves
from core.figures.clouds import contact_sheet, pair_figure
from core.figures.maps import tsne_pair
from core.figures.style import COLUMN, PAGE, class_style, save

__all__ = [
    "COLUMN",
    "PAGE",
    "class_style",
    "confidence_bars",
    "contact_sheet",
    "curves",
    "pair_figure",
    "save",
    "tsne_pair",
]
