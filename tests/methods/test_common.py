"""The common checks over the whole registry: a new method file is tested without a line being added here."""

import pytest

from counterpoint import checks
from counterpoint.core import registry

CASES = [
    (slug, kind)
    for slug in registry.slugs()
    for kind in checks.kinds_of(registry.get(slug))[: 1 if "any" in registry.get(slug).kinds else None]  # test_matrix has the other kinds
]


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("slug", "kind"), CASES, ids=[f"{slug}-{kind}" for slug, kind in CASES])
def test_method(slug, kind, check):
    check(registry.get(slug), kind)


@pytest.mark.parametrize("kind", checks.KINDS[1:])
@pytest.mark.parametrize("slug", ["simclr", "byol", "swav"])
def test_a_general_method_lowers_its_loss_on_every_kind(slug, kind):
    checks.lowers_its_loss(registry.get(slug), kind)
