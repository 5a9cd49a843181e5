"""The same processes as in tests/main_job."""

from tests.main_job.conftest import api, bridge, make_bridge

__all__ = ["api", "bridge", "make_bridge"]
