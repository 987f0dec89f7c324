"""Nothing of the held-out part is seen before it is scored."""

import numpy as np
import torch

import counterpoint as cp
from counterpoint import data
from counterpoint.run.choices import hold_out, split_of, training_part


def arrays(items=100):
    rng = np.random.default_rng(0)
    y = np.arange(items) % 4
    return rng.normal(size=(items, 5)).astype("float32") + y[:, None], y


def test_preparation_is_fitted_on_the_train_part_only():
    x, y = arrays()
    plain = data.read(x, kind="array", label=y, holdout=hold_out(0))
    held = (plain.split == 1).numpy()
    assert held.sum() == 20
    moved = x.copy()
    moved[held] += 1000
    other = data.read(moved, kind="array", label=y, holdout=hold_out(0))
    assert other.preprocessing == plain.preprocessing
    without = data.read(moved, kind="array", label=y)
    assert without.preprocessing != plain.preprocessing


def test_training_sees_the_train_part_only():
    x, y = arrays()
    given = data.read(x, kind="array", label=y, holdout=hold_out(0))
    assert torch.equal(training_part(given, split_of(given, 0)).ids, given.ids[given.split == 0])


def test_groups_are_kept_whole():
    x, y = arrays()
    subject = np.arange(100) // 10
    given = data.read(x, kind="array", label=y, columns={"group": subject}, holdout=hold_out(0))
    train, test = (set(subject[(given.split == part).numpy()]) for part in (0, 1))
    assert train
    assert test
    assert not train & test


def test_without_labels_everything_is_trained_on():
    x, _ = arrays()
    given = data.read(x, kind="array", holdout=hold_out(0))
    assert (given.split == -1).all()


def test_a_test_part_of_the_data_is_taken(tmp_path):
    x, y = arrays()
    np.savez(tmp_path / "a.npz", x_train=x[:70], y_train=y[:70], x_test=x[70:], y_test=y[70:])
    given = data.read(tmp_path / "a.npz", kind="array", holdout=hold_out(0))
    assert (given.split == 1).sum() == 30


def test_the_same_items_are_held_out_when_a_run_is_loaded(tmp_path):
    x, y = arrays()
    np.savez(tmp_path / "a.npz", x=x, y=y)
    run = cp.fit(tmp_path / "a.npz", kind="array", epochs=1, seed=3, out=tmp_path / "run", evaluate=False, report=False)
    again = cp.load(tmp_path / "run")
    assert torch.equal(again.split(again.data), run.split(run.data))
    assert torch.equal(run.data.split, data.read(tmp_path / "a.npz", kind="array", holdout=hold_out(3)).split)
