"""What all tests share: settings of the test tools, and a PostgreSQL server, started when the first test needs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.postgres.server import Server, servers

# Work is counted where it matters; how long one example takes on a busy machine says nothing.
settings.register_profile("busy", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20, derandomize=True)  # where each test runs many times
settings.load_profile("busy")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    with servers() as made:
        yield made.server()
