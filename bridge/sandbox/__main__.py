"""``python -m bridge.sandbox``: the sandbox as a process of its own."""

from __future__ import annotations

import argparse
import os
import sys

from bridge.errors import ConfigurationError


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; returns the exit code: 0, or 78 (``EX_CONFIG``) for a wrong configuration."""
    parser = argparse.ArgumentParser(prog="python -m bridge.sandbox", description="A ticket API to try things against.")
    parser.add_argument("--bind", default="127.0.0.1:8088", metavar="HOST:PORT", help="port 0 picks one and prints it")
    parser.add_argument("--key", action="append", default=[], metavar="KEY", help="an API key with both scopes")
    parser.add_argument("--write-only-key", action="append", default=[], metavar="KEY", help="one without read:support")
    parser.add_argument("--database", metavar="FILE", help="keep everything in this SQLite file (default: in memory)")
    parser.add_argument("--rate-limit", type=int, metavar="N", help="requests a window and key (default: no limit)")
    parser.add_argument("--rate-window", type=float, default=60.0, metavar="S", help="seconds of a window (60)")
    options = parser.parse_args(arguments)
    from bridge.sandbox.server import run  # noqa: PLC0415 - the web stack loads only where it serves

    try:
        run(
            options.bind,
            options.key,
            options.write_only_key,
            options.database,
            options.rate_limit,
            rate_window_s=options.rate_window,
        )
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return os.EX_CONFIG
    return 0


if __name__ == "__main__":
    sys.exit(main())
