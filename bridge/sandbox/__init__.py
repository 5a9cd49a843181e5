"""A faithful, runnable ticket API with a web page, to try the bridge and to stage its configuration against.

It keeps the API contract's promises and breaks them on demand (``faults``). It stands alone: of the bridge it
imports only the error tree. ``docs/sandbox.md`` describes it for its users.
"""
