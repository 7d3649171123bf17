"""Models of other projects, behind the same port: state dicts whose names are known, graphs, and Python factories.

Nothing that a file says is run or unpickled but the graph of a TorchScript file, and code that a person said yes to.
"""

from core.models.importers.importing import Candidate, examine, import_model, keep, load_foreign
from core.models.importers.library import imported_models
from core.models.importers.needs import NeededError, UntrustedError
from core.models.importers.options import ImportOptions
from core.models.importers.sources import ACCEPTED, ENDINGS, is_archive, is_foreign, split_factory
from core.models.importers.trust import trust

__all__ = [
    "ACCEPTED",
    "ENDINGS",
    "Candidate",
    "ImportOptions",
    "NeededError",
    "UntrustedError",
    "examine",
    "import_model",
    "imported_models",
    "is_archive",
    "is_foreign",
    "keep",
    "load_foreign",
    "split_factory",
    "trust",
]
