"""``ticket-bridge check``: looks at everything that the bridge needs, and says each thing it looked at."""

from __future__ import annotations
