"""The evidence that the promises hold: ``make torture`` (docs/torture.md)."""
