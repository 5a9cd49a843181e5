"""The spool: one interface (``api``), stores behind it."""
