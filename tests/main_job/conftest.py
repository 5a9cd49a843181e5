"""Each test has a sandbox and a bridge of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.main_job.running import Api, Bridge, sandbox


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with sandbox(tmp_path) as running:
        yield running


@pytest.fixture
def make_bridge(api: Api, tmp_path: Path) -> Iterator[Callable[..., Bridge]]:
    made: list[Bridge] = []

    def make(**settings: str) -> Bridge:
        made.append(Bridge(tmp_path, api.url, **settings))
        return made[-1]

    yield make
    for bridge in made:
        bridge.process.kill()


@pytest.fixture
def bridge(make_bridge: Callable[..., Bridge]) -> Bridge:
    return make_bridge()
