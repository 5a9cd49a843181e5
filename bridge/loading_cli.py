"""What commands share: examples in their help, reading the settings, and becoming the spool's owner."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from bridge.settings import Settings

WITHOUT_API: Mapping[str, str] = MappingProxyType({"BRIDGE_API_KEY": "-"})
"""For commands that never speak to the API: they need no key, and whoever decides about mails may have none."""


def examples(*lines: str) -> str:
    """The end of a command's help: each example a paragraph, so that the help keeps them apart."""
    return "\n\n".join(("Examples:", *(f"ticket-bridge {line}" for line in lines)))


def settings_of(
    context: typer.Context, *, owner: bool = False, defaults: Mapping[str, str] = MappingProxyType({})
) -> Settings:
    """The settings, taken out of the environment so that no child process inherits a secret.

    With ``owner`` the process is the spool's owner's from here on: secrets are read before, as who started it.
    """
    from bridge.environment import load, strip

    settings, warnings = load(env_file=context.find_root().obj, defaults=defaults)
    strip()
    for warning in warnings:
        typer.echo(f"ticket-bridge: {warning}", err=True)
    if owner:
        from bridge.composition import spool_path
        from bridge.ownership import become_owner
        from bridge.spool import is_postgres

        if not is_postgres(settings.spool_url):
            become_owner(spool_path(settings))
    return settings
