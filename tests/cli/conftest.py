import numpy as np
import pytest


@pytest.fixture(scope="session")
def arrays(tmp_path_factory):
    """Sixty vectors of three groups in an npz, as a user has them."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    path = tmp_path_factory.mktemp("given") / "points.npz"
    np.savez(path, x=(rng.normal(size=(60, 6)) + 3 * y[:, None]).astype("float32"), y=y)
    return path


@pytest.fixture(scope="session")
def finished(arrays, tmp_path_factory):
    """A finished run on them."""
    from tests.cli.command import command

    out = tmp_path_factory.mktemp("runs") / "run"
    said = command("fit", arrays, "--kind", "array", "--epochs", 2, "--out", out, "--set", "batch=16")
    assert said.code == 0, said.err
    return out
