"""Settings: where they come from, what is wrong with them, and that no secret is ever shown."""

from pathlib import Path

import msgspec
import pytest

from atp import config
from atp.config import Config, ConfigError


def test_nothing_set_gives_the_defaults() -> None:
    assert config.load({}) == Config()
    assert all(setting.source == "default" for setting in config.describe({}))


def test_values_come_from_variables_and_files(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("redis://:pw@ledger:6379/0\n")
    environ = {"ATP_REDIS_URL_FILE": str(secret), "ATP_PARTITIONS": "1", "ATP_NAMESPACE": "shop"}
    loaded = config.load(environ)
    assert (loaded.redis_url, loaded.partitions, loaded.namespace) == ("redis://:pw@ledger:6379/0", 1, "shop")
    sources = {setting.name: setting.source for setting in config.describe(environ)}
    assert sources["ATP_REDIS_URL"] == f"file {secret}"
    assert sources["ATP_NAMESPACE"] == "env"
    assert sources["ATP_NATS_URL"] == "default"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"ATP_PARTITIONS": "0"}, r"^ATP_PARTITIONS: expected a whole number from 1 to 4096, got '0'$"),
        ({"ATP_PARTITIONS": "x"}, r"^ATP_PARTITIONS: .* got 'x'$"),
        ({"ATP_NAMESPACE": "a}b"}, r"^ATP_NAMESPACE: "),
        ({"ATP_DURABILITY": "disk"}, r"^ATP_DURABILITY: expected fsync or replica or journal, got 'disk'$"),
        ({"ATP_REDIS_CLUSTER": "a:1"}, r"^ATP_REDIS_CLUSTER: a cluster is not supported"),
        ({"ATP_ON_LOSS": "maybe"}, r"^ATP_ON_LOSS: expected closed or open, got 'maybe'$"),
        ({"ATP_LOG_LEVEL": "loud"}, r"^ATP_LOG_LEVEL: "),
        ({"ATP_HTTP_PORT": "70000"}, r"^ATP_HTTP_PORT: "),
        ({"ATP_METRICS_PORT": "-1"}, r"^ATP_METRICS_PORT: "),
        ({"ATP_NATS_URL_FILE": "/nowhere/at/all"}, r"^ATP_NATS_URL: cannot read /nowhere/at/all"),
        ({"ATP_NATS_URL": "nats://a", "ATP_NATS_URL_FILE": "/x"}, r"^ATP_NATS_URL: set both directly and by"),
    ],
)
def test_a_wrong_value_is_named(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.load(environ)


def test_all_wrong_values_are_named_at_once_and_a_url_is_not_shown() -> None:
    with pytest.raises(ConfigError) as raised:
        config.load({"ATP_REDIS_URL": "https://:hunter2@x", "ATP_PARTITIONS": "-1"})
    assert [line.split(":")[0] for line in str(raised.value).splitlines()] == ["ATP_REDIS_URL", "ATP_PARTITIONS"]
    assert "hunter2" not in str(raised.value)


def test_a_missing_url_is_named() -> None:
    with pytest.raises(ConfigError, match=r"ATP_REDIS_URL: not set.*\nATP_DATABASE_URL: not set"):
        config.load({}).require("redis_url", "database_url")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@host:6379/0", "redis://:***@host:6379/0"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("rediss://user:p:w@host", "rediss://user:***@host"),
        ("postgres://u:p/w@rd@host/db?sslmode=disable", "postgres://u:***@host/db?sslmode=disable"),
        ("postgres://u@host/db?password=pw&sslmode=require", "postgres://u@host/db?password=***&sslmode=require"),
        ("nats://token@host:4222", "nats://***@host:4222"),
        ("nats://a:pw@x:1,nats://token@y:2,tls://token@z:3", "nats://a:***@x:1,nats://***@y:2,tls://***@z:3"),
        ("nats://host:4222", "nats://host:4222"),
    ],
)
def test_passwords_and_tokens_in_urls_are_masked(url: str, shown: str) -> None:
    assert config.mask(url) == shown


def test_the_environment_of_a_child_gives_the_same_settings() -> None:
    wanted = Config(redis_url="redis://a", nats_url="nats://b", database_url="postgres://c", namespace="x", http_port=1)
    around = {"ATP_REDIS_URL_FILE": "/contradicts", "ATP_NAMESPACE": "other", "PATH": "/bin"}
    environ = config.child_environment(config.as_environment(wanted), around)
    assert config.load(environ) == wanted
    assert environ["PATH"] == "/bin"


def test_every_setting_has_its_place_in_the_values() -> None:
    fields = {field.name for field in msgspec.structs.fields(Config)}
    assert {setting.name.removeprefix("ATP_").lower() for setting in config.describe({})} - {"redis_cluster"} == fields


def test_misspelt_variables_are_found() -> None:
    environ = {"ATP_REDIS_ULR": "x", "ATP_REDIS_URL_FILE": "x", "ATP_PARTITIONS": "1", "PATH": "x"}
    assert config.unknown(environ) == ["ATP_REDIS_ULR"]


def test_what_kubernetes_sets_for_a_service_called_atp_is_not_misspelt() -> None:
    names = ("ATP_PORT", "ATP_PORT_8000_TCP", "ATP_PORT_8000_TCP_ADDR", "ATP_SERVICE_HOST", "ATP_SERVICE_PORT_HTTP",
             "ATP_API_SERVICE_HOST")  # fmt: skip
    assert config.unknown(dict.fromkeys(names, "x")) == []


def test_a_key_is_never_shown() -> None:
    (key,) = [setting for setting in config.describe({"ATP_API_KEY": "hunter2"}) if setting.name == "ATP_API_KEY"]
    assert (key.value, key.source) == ("***", "env")


def test_settings_of_webhooks_have_as_many_names_as_there_are_mappings(tmp_path: Path) -> None:
    secret = tmp_path / "square"
    secret.write_text("new, with a comma\nold\n")
    environ = {
        "ATP_WEBHOOK_SECRET_SHOPIFY": "s3cret",
        "ATP_WEBHOOK_SECRET_SQUARE_FILE": str(secret),
        "ATP_WEBHOOK_SOURCES_WEB_SHOP": "eu-shop, us-shop",
        "ATP_WEBHOOK_SOURCES_EMPTY": "",
    }
    assert config.webhook_secrets("ATP_WEBHOOK_SECRET_SQUARE", environ) == [b"new, with a comma", b"old"]
    assert config.webhook_sources(environ) == {"WEB_SHOP": ["eu-shop", "us-shop"]}
    assert config.unknown(environ) == []
    shown = {setting.name: (setting.value, setting.source) for setting in config.describe(environ)}
    assert shown["ATP_WEBHOOK_SECRET_SHOPIFY"] == ("***", "env")
    assert shown["ATP_WEBHOOK_SECRET_SQUARE"] == ("***", f"file {secret}")
    assert shown["ATP_WEBHOOK_SOURCES_WEB_SHOP"] == ("eu-shop, us-shop", "env")
    wrong = {"ATP_WEBHOOK_SOURCES_X": "a", "ATP_WEBHOOK_SOURCES_X_FILE": str(secret)}
    with pytest.raises(ConfigError, match="ATP_WEBHOOK_SOURCES_X: set both"):
        config.webhook_sources(wrong)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ATP_JWKS_URL", "http://id.example/jwks.json", "https://"),
        ("ATP_JWKS_URL", "ftp://id.example/", "https://"),
        ("ATP_JWKS_URL", "https://", "https://"),
        ("ATP_JWKS_URL", "https://user:hunter2@id.example/", "without user and password"),
        ("ATP_JWKS_URL", "http://127.0.0.1.example/", "https://"),
        ("ATP_JWT_NBF", "never", "required or iat"),
        ("ATP_JWT_SCOPES_CLAIM", "a b", "name of a claim"),
        ("ATP_CUSTOMER_KEY", "hunter2", "32 characters"),
        ("ATP_DOCS", "yes", "on or off"),
    ],
)
def test_settings_of_who_may_call(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        config.load({name: value})
    assert "hunter2" not in str(error.value)


def test_docs_are_off_unless_asked_for() -> None:
    assert config.load({}).docs == "off"
    assert config.load({"ATP_JWKS_URL": "http://127.0.0.1:8080/jwks.json"}).jwks_url
