"""Settings: how they are read, from variables and files, and that each is documented."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from config import Config, ConfigError, settings
from tests.each import each

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = dataclasses.fields(Config)
VARIABLES = [field.name.upper() for field in SETTINGS]
SECRET = "s3cr3t-value"


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as refused:
        Config.from_env(environ)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return str(refused.value)


def test_an_empty_environment_is_enough() -> None:
    assert Config.from_env({}) == Config()
    assert Config.from_env({"PATH": "/bin", "HOSTS": "x", "Port": "5"}) == Config()


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().port = 5  # type: ignore[misc]


def test_every_setting_has_a_variable_and_a_default() -> None:
    for variable, field in zip(VARIABLES, SETTINGS, strict=True):
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*", variable)
        assert field.default is not dataclasses.MISSING


def test_the_environment_is_read() -> None:
    config = Config.from_env(
        {
            "HOST": "0.0.0.0",
            "PORT": "0",
            "CASSANDRA_HOST": "a, b ,c",
            "CASSANDRA_PORT": "19042",
            "STORE_DEADLINE_S": "0.25",
            "WRITE_TOKEN": "a token",
            "CORS_ORIGINS": "https://a.example,https://b.example",
            "ACCESS_LOG": "1",
        }
    )
    assert (config.host, config.port, config.access_log) == ("0.0.0.0", 0, True)
    assert (config.cassandra_host, config.cassandra_port) == (("a", "b", "c"), 19_042)
    assert config.store_deadline_s == 0.25
    assert config.write_token == "a token"
    assert config.cors_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    "value", [" token", "token ", "token\n", "\ttoken", "a\nb", "a\x00b", "\ufefftoken"]
)
def test_a_token_that_no_header_can_hold_is_refused(value: str) -> None:
    assert "no client can send" in refusal({"WRITE_TOKEN": value})


@each("variable", VARIABLES)
def test_no_refusal_shows_a_value(variable: str, tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_text(SECRET + "\n")
    is_secret = not SETTINGS[VARIABLES.index(variable)].repr
    for environ in ({variable: SECRET}, {f"{variable}_FILE": str(path)}):
        config, refused = outcome(environ)
        assert SECRET not in refused
        assert variable in refused or config is not None
        assert config is None or (SECRET in repr(config)) != is_secret


def outcome(environ: dict[str, str]) -> tuple[Config | None, str]:
    try:
        return Config.from_env(environ), ""
    except ConfigError as error:
        return None, str(error)


def test_what_is_secret_is_not_in_its_text() -> None:
    secrets = {field.name.upper() for field in SETTINGS if not field.repr}
    assert {"WRITE_TOKEN", "CASSANDRA_PASSWORD"} <= secrets
    named = {name for name in VARIABLES if re.search("TOKEN|PASSWORD|SECRET|REDIS_URL", name)}
    assert named <= secrets


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"secret", "secret"),
        (b"secret\n", "secret"),
        (b"secret\r\n", "secret"),
        (b"secret\n\n", "secret\n"),
        (b"secret\r\n\r\n", "secret\r\n"),
        (b" sec ret ", " sec ret "),
        (b" secret \n", " secret "),
        (b"\tsecret\t\r\n", "\tsecret\t"),
        (b"\nsecret\n", "\nsecret"),
        ("pässword🎬\n".encode(), "pässword🎬"),
    ],
)
def test_a_secret_in_a_file_loses_one_line_end(tmp_path: Path, content: bytes, value: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    config = Config.from_env({"CASSANDRA_PASSWORD_FILE": str(path), "CASSANDRA_USERNAME": "me"})
    assert config.cassandra_password == value


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\r\n", b"\xff\xfe", "s3cr3t-value".encode("utf-16")]
)
def test_an_empty_or_unreadable_file_refuses_to_start(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    said = refusal({"WRITE_TOKEN_FILE": str(path)})
    assert said.startswith("WRITE_TOKEN_FILE ")
    assert SECRET not in said


@pytest.mark.parametrize("name", ["absent", ".", "absent/secret", ""])
def test_a_file_that_is_none_refuses_to_start(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name) if name else ""
    assert refusal({"WRITE_TOKEN_FILE": path}).startswith("WRITE_TOKEN_FILE ")


def test_a_file_without_permission_refuses_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything
    assert refusal({"WRITE_TOKEN_FILE": str(tmp_path)}).startswith("WRITE_TOKEN_FILE ")


def test_a_variable_and_its_file_together_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("from the file")
    for value in (SECRET, ""):
        said = refusal({"WRITE_TOKEN": value, "WRITE_TOKEN_FILE": str(path)})
        assert "WRITE_TOKEN" in said
        assert "WRITE_TOKEN_FILE" in said
        assert SECRET not in said
        assert "from the file" not in said


def test_any_setting_can_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.write_text("8080\n")
    assert Config.from_env({"PORT_FILE": str(path)}).port == 8080
    path.write_text("no port\n")
    said = refusal({"PORT_FILE": str(path)})
    assert said.startswith("PORT")
    assert "no port" not in said


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        *(("127.0.0.1", True), ("127.1.2.3", True), ("localhost", True), ("::1", True)),
        *(("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("127.example", False)),
    ],
)
def test_loopback_is_told_from_what_others_reach(host: str, is_loopback: bool) -> None:
    assert Config(host=host).is_loopback == is_loopback


def test_the_documentation_has_the_settings_as_the_code_has_them() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    rows = [f"| `{name}` | {' | '.join(rest)} |" for name, *rest in settings()]
    assert re.findall(r"^\| `.*", text, re.MULTILINE) == rows


def test_each_setting_has_its_meaning() -> None:
    told = re.findall(r"^ {4}(\w+): ", inspect.cleandoc(Config.__doc__ or ""), re.MULTILINE)
    assert [name.upper() for name in told] == VARIABLES
    assert all(meaning.endswith((".", "/0")) for *_, meaning in settings())


def test_a_default_that_is_shown_can_be_set() -> None:
    shown = {name: default for name, default, *_ in settings() if default != "unset"}
    assert Config.from_env(shown) == Config()
