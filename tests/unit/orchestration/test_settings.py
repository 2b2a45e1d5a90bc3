"""Settings: environment over file over default, and every mistake said plainly."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestration.settings import DEFAULT_UNIVERSE, WITHOUT_INFLUENCE, Settings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ML_ASSETS_{name.upper()}", raising=False)
    return tmp_path


def test_environment_over_file_over_default(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (Settings().window, Settings().epochs) == (60, 80)
    (empty_folder / "settings.toml").write_text('window = 30\nepochs = 5\nprices = "quotes"\n')
    monkeypatch.setenv("ML_ASSETS_WINDOW", "20")
    found = Settings()
    assert (found.window, found.epochs, found.prices, found.horizon) == (20, 5, "quotes", 1)
    assert Settings(window=10).window == 10


def test_layout_hints_come_from_the_file(empty_folder: Path) -> None:
    (empty_folder / "settings.toml").write_text('[[layout_hints]]\npattern = "*.txt"\ndecimal = ","\n')
    (hint,) = Settings().layout_hints
    assert (hint.pattern, hint.decimal) == ("*.txt", ",")


def test_unknown_key_in_the_file_is_named(empty_folder: Path) -> None:
    (empty_folder / "settings.toml").write_text("windows = 30\n")
    with pytest.raises(ValidationError, match=r"windows\n.*not permitted"):
        Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("window", "1"),
        ("window", "sixty"),
        ("horizon", "0"),
        ("split", "1.0"),
        ("split", "0"),
        ("minimum_rows", "100"),
        ("test_days", "0"),
        ("epochs", "-3"),
        ("seed", "-1"),
        ("quarantine_accuracy", "0.5"),
        ("quarantine_accuracy", "60"),
        ("false_discovery_rate", "0"),
        ("keep_versions", "0"),
        ("verdict_wait_seconds", "0"),
        ("prices", "  "),
        ("retrain_cron", "61 2 * * 6"),
        ("retrain_timezone", "Mars/Olympus"),
        ("quiet_seconds", "-1"),
        ("attempts_per_content", "0"),
        ("drift_days", "5"),
        ("drift_false_alarms", "0"),
        ("alert_webhook", "ftp://there"),
        ("alert_timeout_seconds", "100"),
    ],
)
def test_bad_value_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ML_ASSETS_{name.upper()}", value)
    with pytest.raises(ValidationError, match=f"(?s)1 validation error for Settings\n{name}\n") as caught:
        Settings()
    assert value in str(caught.value)


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().window = 3  # type: ignore[misc]


def test_places_follow_home_unless_a_store_is_named(tmp_path: Path) -> None:
    found = Settings(home=Path("here"))
    assert found.store_url == "here/store"
    assert found.dagster_home == tmp_path / "here" / "dagster"
    assert Settings(store="s3://bucket/x").store_url == "s3://bucket/x"


# ------------------------------------------------------------------ wanted_symbols


def test_default_data_gives_the_default_universe_in_order() -> None:
    available = sorted([*DEFAULT_UNIVERSE, "ZZZ"])
    assert Settings().wanted_symbols(available) == list(DEFAULT_UNIVERSE)
    assert Settings().wanted_symbols(["KO", "ZZZ"]) == ["KO"]


def test_own_data_gives_all_of_it() -> None:
    assert Settings(prices="folder").wanted_symbols(["B", "A"]) == ["B", "A"]


def test_named_symbols_are_taken_in_their_order_once() -> None:
    assert Settings(symbols=" B, A,,B ").wanted_symbols(["A", "B", "C"]) == ["B", "A"]
    assert Settings(symbols=" , ").wanted_symbols(["A"]) == []


def test_symbol_that_is_not_on_offer_is_named_with_what_is() -> None:
    with pytest.raises(ValueError, match=r"not found in prices='x': X, Y\. Available: A, B$"):
        Settings(prices="x", symbols="Y,A,X").wanted_symbols(["A", "B"])
    with pytest.raises(ValueError, match=r"S029 \.\.\.$"):
        Settings(symbols="X").wanted_symbols([f"S{i:03}" for i in range(40)])


def test_mistyped_variable_is_refused_with_the_right_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_ASSETS_SYMBOL", "AAPL")
    with pytest.raises(ValueError, match="did you mean ML_ASSETS_SYMBOLS"):
        Settings()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"alert_smtp": "mail:25"}, "both alert_smtp=host:port and alert_mail_to"),
        ({"alert_mail_to": "a@b"}, "both alert_smtp=host:port and alert_mail_to"),
        ({"alert_smtp": "mail", "alert_mail_to": "a@b"}, "write host:port"),
        ({"alert_smtp": "mail:99999", "alert_mail_to": "a@b"}, "write host:port"),
        ({"alert_smtp_user": "me"}, "alert_smtp_user and alert_smtp_password go together"),
    ],
)
def test_half_a_mail_server_is_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(**given)  # type: ignore[arg-type]


def test_password_is_never_shown() -> None:
    mail = {"alert_smtp": "mail:587", "alert_mail_to": "a@b", "alert_smtp_user": "me"}
    settings = Settings(**mail, alert_smtp_password="hidden")  # type: ignore[arg-type]
    assert "hidden" not in repr(settings) + str(settings.model_dump_json())
    assert settings.alert_smtp_password is not None
    assert settings.alert_smtp_password.get_secret_value() == "hidden"


def test_settings_in_force_name_every_setting_and_no_secret() -> None:
    mail = {"alert_smtp": "mail:587", "alert_mail_to": "a@b", "alert_smtp_user": "me"}
    settings = Settings(
        **mail, alert_smtp_password="hidden", alert_webhook="https://chat/hidden", epochs=3,  # type: ignore[arg-type]
        store="s3://key:hidden@bucket/x",
    )  # fmt: skip
    shown = settings.in_force()
    assert set(shown) == {name for name in Settings.model_fields if not name.startswith("alert_")}
    assert "hidden" not in str(shown)
    assert (shown["store"], shown["epochs"], shown["symbols"]) == ("s3://***@bucket/x", "3", "null")
    assert settings.changed() == {"store": "s3://***@bucket/x", "epochs": "3"}


def test_settings_that_shape_a_result_are_told_from_the_others() -> None:
    assert set(Settings.model_fields) > WITHOUT_INFLUENCE
    earlier = Settings(workers=3, symbols="A").in_force()
    assert Settings().makes_the_same(earlier)
    assert not Settings(epochs=3).makes_the_same(earlier)
    assert not Settings().makes_the_same({})  # of a certificate that was written before settings were kept


def test_home_may_start_with_a_tilde() -> None:
    assert Settings(home=Path("~/runs")).home == Path.home() / "runs"
