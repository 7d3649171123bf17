"""Icons, pictures, templates and weights that come with the program."""

from pathlib import Path

RESOURCES = Path(__file__).resolve().parent
