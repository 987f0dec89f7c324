"""Sound: levels, times and pitches are what the keys say, and a shorter wave is treated inside its own length."""

import math

import numpy as np
import pytest
import torch

from counterpoint.core.errors import DataError
from counterpoint.views import audio
from tests.views.laws import ks

G = torch.Generator
NAN = float("nan")


def ragged(n=400, t=900, ends=(900, 300)):
    """Waves of two lengths, silence nowhere; NaN after the end."""
    x = torch.rand(n, 1, t, generator=G().manual_seed(0)) + 0.5
    for k, end in enumerate(ends):
        x[k :: len(ends), :, end:] = NAN
    return x, torch.tensor([ends[i % len(ends)] for i in range(n)])


def level(x):
    """(b,) root mean square over what is there."""
    return x.square().nanmean((1, 2)).sqrt()


def tone(n=4, samples=4000, cycles=200):
    return torch.sin(torch.arange(samples) / samples * cycles * 2 * math.pi).expand(n, 1, samples).contiguous()


def pitch(x):
    return torch.fft.rfft(x[:, 0] * torch.hann_window(x.shape[2])).abs().argmax(1)


def test_gain_noise_and_reverb_have_the_level_they_say():
    x = tone(30)
    view, keys = audio.gain(x, G().manual_seed(0))
    assert torch.allclose(20 * (level(view) / level(x)).log10(), keys["gain"], atol=1e-3)
    view, keys = audio.noise(x, G().manual_seed(0))
    assert torch.allclose(20 * (level(x) / level(view - x)).log10(), keys["ratio"], atol=0.4)
    view, keys = audio.reverb(x, G().manual_seed(0), rate=4000)
    assert torch.allclose(level(view), level(x), rtol=1e-3)


def test_reverb_is_a_convolution():
    x = torch.zeros(1, 1, 2000)
    x[0, 0, 100] = 1.0
    view, _ = audio.reverb(x, G().manual_seed(0), rate=1000, seconds=(0.2, 0.2), wet=1.0)
    energy = view[0, 0].square()
    assert energy[:100].sum() < 1e-9 and energy[100:300].sum() > 50 * energy[500:].sum()


def test_speed_moves_the_pitch_and_stretch_does_not():
    x = tone()
    faster, keys = audio.speed(x, G(), factor=(1.25, 1.25))
    assert torch.allclose(keys["speed"], torch.full((4,), 1.25)) and bool((pitch(faster) - 250).abs().le(2).all())
    longer, _ = audio.stretch(x, G(), factor=(0.8, 0.8), window=256)
    assert bool((pitch(longer) - 200).abs().le(4).all())


def test_shift_and_crop():
    x = torch.arange(1.0, 101.0).expand(30, 1, 100).contiguous()
    view, keys = audio.shift(x, G().manual_seed(0), share=0.3, around=True)
    assert torch.equal(view[:, 0], torch.stack([row.roll(int(s)) for row, s in zip(x[:, 0], keys["shift"])]))
    silent, keys = audio.shift(x, G().manual_seed(0), share=0.3)
    assert torch.equal((silent == 0).sum((1, 2)), keys["shift"].abs())
    piece, keys = audio.crop(x, G().manual_seed(0), samples=20)
    assert torch.equal(piece[:, 0, 0], keys["start"] + 1.0) and piece.shape == (30, 1, 20)
    assert audio.crop(x, G(), samples=120)[0][0, 0, 100:].eq(0).all()


def test_bands_hide_whole_bands():
    x = torch.ones(20, 1, 30, 40)
    view, _ = audio.bands(x, G().manual_seed(0))
    gone = view[:, 0] == 0
    rows, columns = gone.all(2), gone.all(1)
    assert torch.equal(gone, rows[:, :, None] | columns[:, None, :]) and bool(gone.any())


# ---- shorter waves -----------------------------------------------------------------------------------------------------


def test_crops_of_shorter_waves_hold_sound():
    """Waves of 300 samples in a batch of 900: no crop begins after the end, none is padded where the wave is long enough."""
    x, ends = ragged()
    for samples in (100, 300):
        view, keys = audio.crop(x, G().manual_seed(0), samples=samples)
        assert not bool(view.isnan().any()) and bool((keys["start"] + samples <= ends).all())
    view, keys = audio.crop(x, G().manual_seed(0), samples=500)
    assert torch.equal((~view.isnan()).sum((1, 2)), ends.clamp(max=500)) and bool((keys["start"][1::2] == 0).all())
    longer, _ = audio.crop(x, G().manual_seed(0), samples=1000)
    assert torch.equal((~longer.isnan()).sum((1, 2)), torch.where(ends == 900, 1000, 300)), "a whole wave is followed by silence"
    made, _ = audio.varied(x, G().manual_seed(0), samples=200, rate=1000)
    assert bool((made.nan_to_num(0.0).square().sum((1, 2)) > 0).all())


def test_crops_begin_evenly_in_each_items_own_length():
    x, ends = ragged(4000)
    _, keys = audio.crop(x, G().manual_seed(1), samples=100)
    place = (keys["start"] + 0.5) / (ends - 100 + 1)
    assert ks(place) < 1.63 / math.sqrt(4000)
    frames = torch.randn(600, 1, 8, 40)
    frames[::2, :, :, 20:] = NAN
    view, keys = audio.crop(frames, G().manual_seed(0), samples=15)
    assert not bool(view.isnan().any()) and int(keys["start"][::2].max()) == 5 and int(keys["start"][1::2].max()) == 25


def test_level_and_shift_of_shorter_waves_are_those_of_the_wave():
    """Silence after the end neither lowers the level that noise is measured by nor is shifted in."""
    x, ends = ragged(60)
    view, keys = audio.noise(x, G().manual_seed(0), ratio=(10.0, 40.0))
    assert torch.allclose(20 * (level(x) / level(view - x)).log10(), keys["ratio"], atol=1.0)
    assert abs((20 * (level(x) / level(view - x)).log10() - keys["ratio"]).mean()) < 0.15
    view, _ = audio.reverb(x, G().manual_seed(0), rate=1000)
    assert torch.allclose(level(view), level(x), rtol=1e-3)
    view, keys = audio.shift(x, G().manual_seed(0), share=0.25)
    assert bool((keys["shift"].abs() <= 0.25 * ends + 1).all()) and torch.equal(view.isnan(), x.isnan())
    assert torch.equal((view == 0).sum((1, 2)), keys["shift"].abs())
    turned, keys = audio.shift(x, G().manual_seed(0), share=0.5, around=True)
    for i in (0, 1, 2, 3):
        assert torch.equal(turned[i, 0, : ends[i]], x[i, 0, : ends[i]].roll(int(keys["shift"][i])))


# ---- pace and rooms ----------------------------------------------------------------------------------------------------


def test_faster_waves_do_not_alias():
    """At 1.25 times the speed a tone of 0.45 cycles a sample lies above the highest frequency: it must go, not come back at 0.4375."""
    x = tone(2, 4000, 1800)
    view, _ = audio.speed(x, G(), factor=(1.25, 1.25))
    assert view[:, :, 200:3000].square().mean() < 0.01 * x.square().mean()
    low, same = tone(2, 4000, 200), audio.speed(tone(2, 4000, 200), G(), factor=(1.25, 1.25))[0]
    assert same[:, :, 200:3000].square().mean() > 0.95 * low.square().mean()
    slow = audio.speed(x, G(), factor=(0.8, 0.8))[0]
    assert slow[:, :, 200:3800].square().mean() > 0.2 * x.square().mean(), "nothing is taken from what only becomes lower"


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.3, 1.8])
def test_stretch_moves_what_happens_and_keeps_the_pitch(factor):
    """A tone that sounds from a third of the wave on begins at a third over the factor, at the same pitch and level."""
    x = tone(1, 16000, 800)
    x[:, :, :5333] = 0.0
    view, keys = audio.stretch(x, G(), factor=(factor, factor), window=256)
    assert torch.allclose(keys["speed"], torch.tensor([factor]))
    start = round(5333 / factor)
    if start < 15000:
        loud = view[0, 0, start + 600 : min(16000, round(16000 / factor)) - 600]
        assert abs(float(loud.square().mean().sqrt()) - math.sqrt(0.5)) < 0.1
        spectrum = torch.fft.rfft(loud * torch.hann_window(len(loud))).abs()
        assert abs(float(spectrum.argmax()) / len(loud) - 0.05) < 2 / len(loud) + 0.001
    assert view[0, 0, : start - 600].abs().max() < 0.1


@pytest.mark.parametrize("factor", [0.85, 0.95, 1.0, 1.15])
@pytest.mark.parametrize("cycles", [100, 440, 1000])
def test_stretch_keeps_the_level_of_a_tone_that_sounds_from_the_start(factor, cycles):
    x = tone(1, 16000, cycles)
    view, _ = audio.stretch(x, G(), factor=(factor, factor))
    assert abs(float(view[0, 0, 3000:9000].square().mean().sqrt()) - math.sqrt(0.5)) < 0.03


def test_a_room_falls_by_sixty_decibels_in_its_time():
    """Schroeder's backward integral of the answer to a click, which is all answer, against the line that the key says."""
    x = torch.zeros(40, 1, 24000)
    x[:, :, 0] = 1.0
    view, keys = audio.reverb(x, G().manual_seed(0), rate=16000, wet=1.0, seconds=(0.4, 0.4))
    answer = view - view[:, :, :1] * x  # what is not the click itself
    heard = answer.square().flip(2).cumsum(2).flip(2)[:, 0].mean(0)
    fall = 10 * torch.log10(heard[800 + 3200] / heard[800])  # 0.2 s
    assert torch.allclose(keys["decay"], torch.tensor(0.4)) and abs(float(fall) + 30.0) < 2.5


def test_reverb_of_measured_rooms(tmp_path):
    """A room that only answers after 50 samples with half the strength: the view is the sum, at the level of the sound."""
    room = np.zeros((1, 80), np.float32)
    room[0, 10], room[0, 60] = 1.0, 0.5
    np.save(tmp_path / "rooms.npy", room)
    x = torch.zeros(3, 1, 400)
    x[:, :, 100] = 1.0
    view, keys = audio.reverb(x, G().manual_seed(0), impulses=str(tmp_path / "rooms.npy"), wet=1.0)
    for i, share in enumerate(keys["wet"].tolist()):
        direct, late = 1 - share + share / math.sqrt(1.25), 0.5 * share / math.sqrt(1.25)
        assert float(view[i, 0, 150] / view[i, 0, 100]) == pytest.approx(late / direct, rel=1e-3)
    assert torch.equal(keys["room"], torch.zeros(3, dtype=torch.int64)) and torch.allclose(level(view), level(x), rtol=1e-4)
    assert "room" in audio.varied(x, G().manual_seed(0), rate=1000, impulses=str(tmp_path / "rooms.npy"))[1]


def test_rooms_in_a_folder_of_recordings(tmp_path):
    from scipy.io import wavfile

    for k, rate in enumerate((8000, 4000)):  # the second is resampled
        answer = np.zeros(rate // 10, np.int16)
        answer[0], answer[rate // 20] = 20000, 10000
        wavfile.write(tmp_path / f"room{k}.wav", rate, answer)
    x = torch.zeros(200, 1, 2000)
    x[:, :, 100] = 1.0
    view, keys = audio.reverb(x, G().manual_seed(0), rate=8000, impulses=str(tmp_path), wet=1.0)
    assert set(keys["room"].tolist()) == {0, 1}
    late = view[:, 0, 495:506].abs().amax(1) / view[:, 0, 95:106].abs().amax(1)
    assert bool((late[keys["wet"] > 0.9] > 0.35).all()), "the answer comes 50 ms later in both"
    with pytest.raises(DataError, match=r"impulses = '.*none': there is no such file or folder"):
        audio.reverb(x, G(), impulses=str(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no \.wav"):
        audio.reverb(x, G(), impulses=str(tmp_path / "empty"))
    np.save(tmp_path / "odd.npy", np.full((2, 3, 4), 1.0))
    with pytest.raises(DataError, match="rooms, samples"):
        audio.reverb(x, G(), impulses=str(tmp_path / "odd.npy"))
    np.save(tmp_path / "silent.npy", np.zeros((2, 30)))
    with pytest.raises(DataError, match="silent"):
        audio.reverb(x, G(), impulses=str(tmp_path / "silent.npy"))


# ---- spectrograms ------------------------------------------------------------------------------------------------------


def test_zoom_is_the_box_that_the_key_names():
    """A spectrogram that rises along both axes: first and last values are those of the box, inside the item's own frames."""
    x = torch.arange(20.0)[:, None] * 100 + torch.arange(50.0)
    x = x.expand(60, 1, 20, 50).clone()
    x[::2, :, :, 30:] = NAN
    view, keys = audio.zoom(x, G().manual_seed(0), frequencies=(0.5, 0.9), times=(0.4, 0.8))
    assert torch.equal(view.isnan(), x.isnan())
    low, first, high, last = keys["box"].unbind(1)
    assert torch.allclose(view[:, 0, 0, 0], low * 100 + first, atol=0.05)
    ends = torch.where(torch.arange(60) % 2 == 0, 30, 50)
    corner = view[torch.arange(60), 0, 19, ends - 1]
    assert torch.allclose(corner, (high - 1) * 100 + last - 1, atol=0.05)
    share = torch.stack([(high - low) / 20, (last - first) / ends])
    assert share[0].min() >= 0.5 - 0.03 and share[0].max() <= 0.9 + 0.03 and share[1].min() >= 0.38 and share[1].max() <= 0.82
    assert torch.allclose(audio.zoom(x, G(), frequencies=(1.0, 1.0), times=(1.0, 1.0))[0], x, atol=1e-3, equal_nan=True)


def test_bands_have_the_widths_and_the_count_they_say():
    """SpecAugment: `count` bands of each sort, widths uniform up to the share asked."""
    x = torch.ones(3000, 1, 50, 100)
    view, keys = audio.bands(x, G().manual_seed(0), frequencies=0.4, times=0.0, count=1)
    width = (view[:, 0, :, 0] == 0).sum(1)
    assert int(width.max()) == 20 and abs(width.float().mean() - 10) < 4 * 5.9 / math.sqrt(3000)
    assert torch.allclose(keys["hidden"], width / 50)
    counted = torch.bincount(width, minlength=21)[1:20].double()
    assert float((counted / 3000 * 20 - 1).abs().max()) < 0.35, "each width as likely"
    edges = torch.nn.functional.pad(
        (audio.bands(x, G().manual_seed(1), frequencies=0.0, times=0.05, count=4)[0][:, 0, 0] == 0).int(), (1, 1)
    )
    runs = (edges.diff(dim=1) == 1).sum(1)
    assert int(runs.max()) == 4 and runs.float().mean() > 2


@pytest.mark.parametrize(
    ("make", "shape", "words"),
    [(audio.noise, (2, 5), "channels, samples"), (audio.bands, (2, 1, 5), "bands, frames"), (audio.zoom, (2, 1, 5), "bands, frames")],
)
def test_wrong_shapes_are_refused(make, shape, words):
    with pytest.raises(DataError, match=words):
        make(torch.randn(shape), G())
