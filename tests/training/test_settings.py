import pytest

from counterpoint.core.errors import OptionError
from counterpoint.training.settings import Settings, seconds


@pytest.mark.parametrize(("text", "wanted"), [("90s", 90), ("5m", 300), ("1h30m", 5400), ("2h", 7200), (12, 12), ("0.5m", 30), ("45", 45)])
def test_durations(text, wanted):
    assert seconds(text) == wanted


@pytest.mark.parametrize("text", ["", "soon", "5 minutes", "-3s", "0s", "m", "5x"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(OptionError, match="time"):
        seconds(text)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"batch": 0}, "batch"),
        ({"lr": -1.0}, "lr"),
        ({"warmup": 2.0}, "warmup"),
        ({"optimizer": "lion"}, "optimizer"),
        ({"seed": -1}, "seed"),
        ({"epochs": 3, "time": "5m"}, "both given"),
        ({"batch": 64, "effective_batch": 32}, "effective_batch"),
        ({"precision": "8-bit"}, "precision"),
        ({"precision": "16-mixed"}, "precision"),  # its scaled gradients were never scaled back
    ],
)
def test_settings_out_of_range_are_refused(given, named):
    with pytest.raises(OptionError, match=named):
        Settings(**given)


def test_settings_go_through_plain_values():
    settings = Settings(time="5m", batch=32, effective_batch=128)
    assert Settings(**settings.plain()) == settings
    assert settings.together == 128
