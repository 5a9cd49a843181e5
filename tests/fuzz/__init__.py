"""Fuzzers (atheris, libFuzzer): ``make fuzz`` runs each for half an hour, ``make test-system`` for a minute."""
