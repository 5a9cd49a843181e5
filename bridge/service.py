"""The one composition root: settings become parts, signals a drain, and a broken part the end of the process.

Promises: nothing is accepted before the spool is open and what an earlier process left behind is taken over; at a stop
the listeners close first, then what is in flight ends within the grace period, then the spool closes. What did not end
by then is taken over at the next start. When the spool can no longer promise durability, the process ends at once with
exit code 74: what was not committed was not acknowledged.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from structlog.typing import FilteringBoundLogger

from bridge import __version__, composition, sdnotify
from bridge.isolation import Isolation
from bridge.ops import logs
from bridge.settings import Settings

EXIT_BROKEN = 74
HELD_DAYS = 90
"""Days that held mail keeps its body (design §5)."""
_DAY_S = 86_400.0
_HOUR_S = 3600.0
