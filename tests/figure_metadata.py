"""Caption and provenance of a figure file, read as another program would read them."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PIL import Image

DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"


def figure_metadata(path: Path) -> tuple[str, dict[str, Any]]:
    """Caption, and the provenance as a dict."""
    match path.suffix:
        case ".png":
            with Image.open(path) as image:
                texts = dict(image.text)  # type: ignore[attr-defined]
            return texts["Title"], json.loads(texts["Description"])
        case ".svg":
            tree = ElementTree.parse(path)
            title, description = (next(tree.iter(f"{DUBLIN_CORE}{name}")).text for name in ("title", "description"))
            return title or "", json.loads(description or "")
    content = path.read_bytes()
    return _pdf_string(content, b"Title"), json.loads(_pdf_string(content, b"Subject"))


def _pdf_string(content: bytes, name: bytes) -> str:
    """A literal string of the PDF's information dictionary (PDF 32000-1, 7.3.4.2)."""
    found = re.search(rb"/" + name + rb" \(((?:\\.|[^\\)])*)\)", content, re.DOTALL)
    assert found is not None, f"the PDF has no {name!r}"
    escapes = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
    raw = re.sub(rb"\\(.)", lambda escaped: escapes.get(escaped[1], escaped[1]), found[1], flags=re.DOTALL)
    return raw.decode("utf-16") if raw.startswith(b"\xfe\xff") else raw.decode("latin-1")
