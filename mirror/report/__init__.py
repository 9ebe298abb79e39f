"""The outcome of a comparison, and the ways to show it: for people on a terminal, as plain lines, as JSON."""

from mirror.report.json import to_json
from mirror.report.model import Check, Loaded, Report, Score
from mirror.report.text import lines, render

__all__ = ["Check", "Loaded", "Report", "Score", "lines", "render", "to_json"]
