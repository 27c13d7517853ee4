"""Settings: read from the environment, each described, unsafe ones refused."""

from pathlib import Path

import pytest

from boomerang.errors import BadRequest
from boomerang.service.running.parts import environment
from boomerang.service.settings import Settings


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_defaults_stay_on_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings()
    assert settings.home == tmp_path / ".boomerang"
    assert settings.database_url == f"sqlite:///{tmp_path}/.boomerang/catalog.sqlite"
    assert (settings.models, settings.redis_url, settings.loopback) == (None, "", True)
    settings.check()


def test_the_environment_is_read_under_both_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BOOMERANG_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/boomerang")
    monkeypatch.setenv("REDIS_URL", "redis://queue:6379/0")
    monkeypatch.setenv("BOOMERANG_API_KEYS", "read:abc, xyz")
    monkeypatch.setenv("BOOMERANG_TRAINER", '["torchrun", "-m", "boomerang.distill"]')
    monkeypatch.setenv("BOOMERANG_DATA", "")
    settings = Settings()
    assert settings.database_url == "postgresql://db/boomerang"
    assert settings.redis_url == "redis://queue:6379/0"
    assert [key.get_secret_value() for key in settings.api_keys] == ["read:abc", "xyz"]
    assert "abc" not in repr(settings)
    assert settings.trainer[0] == "torchrun"
    assert settings.data is None
    monkeypatch.setenv("BOOMERANG_REDIS_URL", "redis://other")
    assert Settings().redis_url == "redis://other"


def test_an_empty_database_address_is_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("BOOMERANG_HOME", str(tmp_path))
    assert Settings().database_url == f"sqlite:///{tmp_path}/catalog.sqlite"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])
def test_an_open_address_needs_keys(host: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest) as caught:
        Settings(home=tmp_path, host=host).check()
    assert caught.value.value == host
    Settings(home=tmp_path, host=host, api_keys=("secret",)).check()  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.1.2.3"])
def test_loopback_needs_none(host: str, tmp_path: Path) -> None:
    Settings(home=tmp_path, host=host).check()


def test_processes_that_are_started_are_told_the_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BOOMERANG_HOME", str(tmp_path))
    monkeypatch.setenv("BOOMERANG_API_KEYS", "read:abc,xyz")
    monkeypatch.setenv("BOOMERANG_WEBHOOK_SECRET", "s3cret")
    given = Settings()
    for name, value in environment(given).items():
        monkeypatch.setenv(name, value)
    assert Settings() == given
