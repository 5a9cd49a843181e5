"""``python -m bridge`` and the console script. Worker processes execute this file again: it must stay small."""

from bridge.cli import main

if __name__ == "__main__":
    main()
