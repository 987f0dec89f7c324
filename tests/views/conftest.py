"""The two ways in which pictures are cut out on a processor."""

import pytest

from counterpoint.views import kernels


@pytest.fixture(params=["plain calls", "numba"])
def way(request, monkeypatch):
    """The test runs once with each: the plain calls, and the kernels, where numba is installed."""
    if request.param == "numba":
        pytest.importorskip("numba")
    else:
        monkeypatch.setattr(kernels, "chosen", lambda device: False)
    return request.param
