"""The only reader of the environment: ``BRIDGE_*`` variables, an env file under them, and files that hold secrets.

``load`` checks what pydantic-settings lets pass (misspelled names), reads ``*_FILE`` secrets and systemd credentials,
and turns every fault into one ``ConfigurationError`` that names variable, fault and an example.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from bridge import envfile
from bridge.errors import ConfigurationError
from bridge.settings import PREFIX, Settings

_KUBERNETES = ("BRIDGE_SERVICE_", "BRIDGE_PORT")
SECRETS = ("API_KEY", "ADDRESS_KEYS", "OPS_TOKEN", "SPOOL_KEY", "SPOOL_URL")
"""Settings that may come from a file instead."""


def variable(field: str) -> str:
    """The environment variable of a member."""
    return PREFIX + field.upper()


def load(
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = None,
    defaults: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Settings, list[str]]:
    """The settings, and warnings worth saying. ``environ`` wins over ``env_file``, which wins over ``defaults``.

    Raises ``ConfigurationError`` with one line per fault; never shows a value.
    """
    environ = os.environ if environ is None else environ
    merged = _from_file(env_file) if env_file else {}
    merged.update({key: value for key, value in environ.items() if key.startswith(PREFIX)})
    faults, warnings = _check_names(merged)
    _read_secret_files(merged, environ, faults)
    for name, value in defaults.items():
        merged.setdefault(name, value)
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in merged.items()}
    try:
        settings = Settings(**source())
    except ValidationError as error:
        faults += [_fault(dict(item)) for item in error.errors(include_input=False, include_url=False)]
    if faults:
        raise ConfigurationError("\n".join(faults))
    return settings, warnings


def sources(environ: Mapping[str, str], env_file: Path | None) -> dict[str, str]:
    """Where each setting that is not a default comes from, by variable, for people."""
    named = dict.fromkeys(_from_file(env_file), f"the env file {env_file}") if env_file else {}
    named |= dict.fromkeys((name for name in environ if name.startswith(PREFIX)), "the environment")
    for secret in SECRETS:
        name = PREFIX + secret
        if f"{name}_FILE" in named:
            named[name] = f"its file, named by {named[f'{name}_FILE']}"
        elif name not in named and _credential(environ, name).is_file():
            named[name] = "a systemd credential"
    return named


def _credential(environ: Mapping[str, str], name: str) -> Path:
    """Where systemd puts what ``LoadCredential=`` names (systemd.exec(5)): ``bridge_api_key``.

    Commands beside the service are pointed at the directory that it is loaded from, where the name has no ``bridge_``.
    """
    directory = Path(environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"))
    loaded = directory / name.lower()
    return loaded if loaded.is_file() else directory / name.removeprefix(PREFIX).lower()


def _from_file(path: Path) -> dict[str, str]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--env-file {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    return envfile.parse(text, name=str(path))


def _check_names(merged: dict[str, str]) -> tuple[list[str], list[str]]:
    known = {variable(name) for name in Settings.model_fields} | {f"{PREFIX}{name}_FILE" for name in SECRETS}
    faults: list[str] = []
    warnings: list[str] = []
    for name in sorted(set(merged) - known):
        if name.startswith(_KUBERNETES):
            warnings.append(f"{name}: not a setting of the bridge (Kubernetes injects such names); ignored")
        elif name.startswith(PREFIX):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
            hint = f"; did you mean {near[0]}?" if near else "; docs/settings.md lists all settings"
            faults.append(f"{name}: there is no such setting{hint}")
        del merged[name]
    return faults, warnings


def _read_secret_files(merged: dict[str, str], environ: Mapping[str, str], faults: list[str]) -> None:
    """``NAME_FILE``; when neither is set, ``$CREDENTIALS_DIRECTORY/bridge_name`` (systemd.exec(5), LoadCredential=)."""
    for secret in SECRETS:
        name = PREFIX + secret
        path = merged.pop(f"{name}_FILE", "")
        if path and name in merged:
            faults.append(f"{name} and {name}_FILE are both set: keep one")
            continue
        credential = _credential(environ, name)
        if not path and name not in merged and credential.is_file():
            path = str(credential)
        if path:
            try:
                merged[name] = Path(path).read_text("utf-8").strip()
                if f"{secret}_FILE".lower() in Settings.model_fields:
                    merged[f"{name}_FILE"] = path
            except (OSError, UnicodeDecodeError) as error:
                faults.append(f"{name}_FILE: {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}")


def _fault(error: Mapping[str, Any]) -> str:
    if not error["loc"]:
        return str(error["msg"]).removeprefix("Value error, ")
    field = str(error["loc"][0])
    what = "is missing" if error["type"] == "missing" else str(error["msg"]).removeprefix("Value error, ")
    examples = Settings.model_fields[field].examples or [""]
    return f"{variable(field)}: {what}; example: {variable(field)}={examples[0]}"


def strip(environ: MutableMapping[str, str] = os.environ) -> None:
    """Take every ``BRIDGE_*`` name out of the environment, so that no child process inherits a secret."""
    for name in [name for name in environ if name.startswith(PREFIX)]:
        del environ[name]
