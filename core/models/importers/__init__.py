"""Imports models of other projects: state dicts whose weights have known names, graphs, and Python factories.

Nothing in a file is run or unpickled, except the graph of a TorchScript file, and code that a person consented to run.
"""

from core.models.importers.candidate import Candidate
from core.models.importers.importing import examine, keep, load_foreign
from core.models.importers.library import imported_models
from core.models.importers.needs import NeededError, UntrustedError
from core.models.importers.options import AnyImportOptions, ImportOptions
from core.models.importers.sources import ACCEPTED, ENDINGS, is_archive, is_foreign, split_factory
from core.models.importers.trust import trust

__all__ = [
    "ACCEPTED",
    "ENDINGS",
    "AnyImportOptions",
    "Candidate",
    "ImportOptions",
    "NeededError",
    "UntrustedError",
    "examine",
    "imported_models",
    "is_archive",
    "is_foreign",
    "keep",
    "load_foreign",
    "split_factory",
    "trust",
]
