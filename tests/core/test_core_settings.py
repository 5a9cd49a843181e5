"""Settings: every fault names its variable, an example and nothing secret; every secret may come from a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bridge.environment import load, strip, variable
from bridge.errors import ConfigurationError
from bridge.settings import Settings
from tests import generate

GOOD = {"BRIDGE_MAIL_DOMAINS": "example.com", "BRIDGE_API_KEY": "s3cret-key"}


def faults(**changes: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load({**GOOD, **changes})
    return str(caught.value)


def test_defaults_are_those_of_the_documentation() -> None:
    settings, warnings = load(GOOD)
    assert warnings == []
    assert settings.listen == ("127.0.0.1:8025",)
    assert settings.api_url == "https://cloud.hostup.se"
    assert settings.max_message_bytes == 26_214_400
    assert settings.effective_number_policy == "accept"
    assert load({**GOOD, "BRIDGE_AUTHSERV_ID": "mx"})[0].effective_number_policy == "known"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BRIDGE_LISTNE", "x", "did you mean BRIDGE_LISTEN"),
        ("BRIDGE_QWERTYUIOP", "x", "no such setting; docs/settings.md"),
        ("BRIDGE_listen", "x", "no such setting"),
        ("BRIDGE_OPS_BIND", "9000", "host:port"),
        ("BRIDGE_OPS_BIND", "127.0.0.1:99999", "host:port"),
        ("BRIDGE_OPS_TOKEN", "short", "16 characters"),
        ("BRIDGE_TEST_TICKET", "149943", "BRIDGE_TEST_TICKET"),
        ("BRIDGE_RETENTION_DAYS", "soon", "BRIDGE_RETENTION_DAYS: Input should be a valid integer"),
        ("BRIDGE_MAIL_DOMAINS", " , ", "at least one is needed"),
        ("BRIDGE_RELAY_NETWORKS", "10.0.0.1/8", "BRIDGE_RELAY_NETWORKS"),
        ("BRIDGE_API_URL", "ftp://x", "https://"),
        ("BRIDGE_API_URL", "https://user:pw@host", "without user"),
        ("BRIDGE_SPOOL_URL", "mysql://db/x", "postgresql://"),
        ("BRIDGE_SPOOL_URL", "sqlite:///", "sqlite:///"),
        ("BRIDGE_NO_TICKET", "create", "BRIDGE_DEPARTMENT is needed"),
        ("BRIDGE_TLS_CERT_FILE", "/x", "go together"),
        ("BRIDGE_TLS_REQUIRED", "true", "needs BRIDGE_TLS_CERT_FILE"),
        ("BRIDGE_SIGNED_ADDRESSES", "enforce", "needs BRIDGE_ADDRESS_KEYS"),
        ("BRIDGE_NUMBER_POLICY", "known", "needs BRIDGE_AUTHSERV_ID"),
        ("BRIDGE_ALLOWED_SENDERS", "anna@example.org,example.org", "whole domains (@example.org)"),
        ("BRIDGE_API_KEY_FILE", "/x", "both set"),
    ],
)
def test_faults_name_the_variable(name: str, value: str, said: str) -> None:
    message = faults(**{name: value})
    assert said in message
    assert "s3cret" not in message


def test_all_faults_are_said_at_once_with_examples() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({"BRIDGE_X": "1"})
    assert len(str(caught.value).splitlines()) == 3
    assert "example: BRIDGE_MAIL_DOMAINS=example.com" in str(caught.value)


def test_kubernetes_names_only_warn() -> None:
    _, warnings = load({**GOOD, "BRIDGE_SERVICE_HOST": "x", "BRIDGE_PORT_25_TCP": "y"})
    assert [line.partition(":")[0] for line in warnings] == ["BRIDGE_PORT_25_TCP", "BRIDGE_SERVICE_HOST"]


def test_secrets_from_files_and_credentials(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("from-file\n")
    settings, _ = load({"BRIDGE_MAIL_DOMAINS": "example.com", "BRIDGE_API_KEY_FILE": str(key)})
    assert settings.api_key.get_secret_value() == "from-file"
    (tmp_path / "bridge_api_key").write_text("from-credential")
    settings, _ = load({"BRIDGE_MAIL_DOMAINS": "example.com", "CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.api_key.get_secret_value() == "from-credential"
    assert "from-credential" not in repr(settings)
    with pytest.raises(ConfigurationError, match=r"BRIDGE_API_KEY_FILE: .*No such file"):
        load({"BRIDGE_MAIL_DOMAINS": "example.com", "BRIDGE_API_KEY_FILE": str(tmp_path / "none")})


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "bridge.env"
    file.write_text("BRIDGE_MAIL_DOMAINS=file.example\nBRIDGE_API_KEY=k\n")
    assert load({}, file)[0].mail_domains == ("file.example",)
    assert load({"BRIDGE_MAIL_DOMAINS": "ENV.example"}, file)[0].mail_domains == ("env.example",)
    with pytest.raises(ConfigurationError, match=r"--env-file .*No such file"):
        load({}, tmp_path / "none")


def test_strip_leaves_no_secret_for_children() -> None:
    environ = {"BRIDGE_API_KEY": "x", "PATH": "y"}
    strip(environ)
    assert environ == {"PATH": "y"}


def test_the_example_file_is_valid(tmp_path: Path) -> None:
    """Every example, taken together, starts the bridge; of the two places for the key only one may be given."""
    lines = [line.removeprefix("#") for line in generate.example_env().splitlines()]
    key = tmp_path / "key"
    key.write_text("from-a-file\n")
    lines = [line.replace("/etc/ticket-bridge/api.key", str(key)) for line in lines]
    text = "\n".join(line for line in lines if line.startswith("BRIDGE_") and not line.startswith("BRIDGE_API_KEY="))
    file = tmp_path / "all.env"
    file.write_text(text)
    settings, _ = load({}, file)
    named = {line.partition("=")[0] for line in text.splitlines()} | {"BRIDGE_API_KEY"}
    assert {variable(name) for name in Settings.model_fields} == named
    assert settings.api_key.get_secret_value() == "from-a-file"


def test_generated_documentation_is_up_to_date() -> None:
    assert generate.main(["--check"]) == 0


def test_wrong_settings_end_with_78() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "serve"],
        env={"BRIDGE_LISTNE": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert "did you mean BRIDGE_LISTEN" in done.stderr
