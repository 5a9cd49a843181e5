"""Does a mail disclose what not everybody may read? Rules to findings (design §10, docs/sensitivity.md). Pure."""

from bridge.sensitivity.loader import DEFAULT, ExampleReport, load, run_examples
from bridge.sensitivity.rules import COULD_NOT_SCAN, Rules
from bridge.sensitivity.scanning import Content, Options, Scan, Span, mask, scan, spans

__all__ = [
    "COULD_NOT_SCAN",
    "DEFAULT",
    "Content",
    "ExampleReport",
    "Options",
    "Rules",
    "Scan",
    "Span",
    "load",
    "mask",
    "run_examples",
    "scan",
    "spans",
]
