"""What all tests share: settings of the test tools, and a PostgreSQL server, started when the first test needs it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests.postgres.server import Database
from tests.postgres.shared import one_for_all

# Work is counted where it matters; how long one example takes on a busy machine says nothing.
settings.register_profile("busy", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20, derandomize=True)  # where each test runs many times
settings.load_profile("busy")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command that a test ran in this process must not log into the next test's closed output."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One for all workers; a test that stops it, or ends others' connections, makes its own."""
    base = tmp_path_factory.getbasetemp()
    with one_for_all(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as running:
        yield running
