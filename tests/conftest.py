"""Settings of the test tools for all tests."""

from hypothesis import settings

# Work is counted where it matters; how long one example takes on a busy machine says nothing.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")
