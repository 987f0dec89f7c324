"""Views of pictures that are made together: the same law as of each by itself."""

import pytest
import torch

from counterpoint import views
from counterpoint.core.errors import DataError
from counterpoint.core.options import use
from counterpoint.views import image, looks

G = torch.Generator
pytestmark = pytest.mark.usefixtures("way")
MANY = use(image.simclr, size=8, upside=0.3, blur=0.5, solarise=0.3)


def pictures(n=12, kind=torch.float32):
    x = torch.rand(n, 3, 10, 10, generator=G().manual_seed(1))
    return x if kind.is_floating_point else (x * 255).to(kind)


def same(made, expected, within=1e-6):
    assert len(made) == len(expected)
    for (view, keys), (other, known) in zip(made, expected, strict=True):
        assert torch.allclose(view, other, atol=within)
        assert list(keys) == list(known) and all(torch.allclose(keys[k].double(), known[k].double(), atol=1e-6) for k in keys)


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_views_of_different_laws_are_drawn_one_after_the_other(kind):
    x, plan = pictures(kind=kind), (MANY, use(MANY, solarise=0.0, hue=0.0), use(image.simclr, size=5, space="hsv"))
    generator = G().manual_seed(4)
    same(looks.together(plan, x, G().manual_seed(4)), [part(x, generator) for part in plan])


@pytest.mark.parametrize("part", [MANY, use(image.simclr, size=10, space="hsv"), use(image.simclr, size=8, jitter=0.0, grey=0.0)])
def test_views_of_one_law_are_drawn_at_once(part):
    """As if every picture stood in the batch once for each view. (A blur reaches as far as its batch's widest needs: 1e-3.)"""
    x = pictures()
    view, keys = part(x.repeat(3, 1, 1, 1), G().manual_seed(4))
    rows = [slice(12 * k, 12 * k + 12) for k in range(3)]
    same(looks.together((part,) * 3, x, G().manual_seed(4)), [(view[i], {name: key[i] for name, key in keys.items()}) for i in rows], 1e-3)


def test_what_is_drawn_reads_the_shape_alone():
    """The draws of an empty picture and of a full one are the same."""
    draw = looks._DRAWN[image.simclr]
    one, two = (draw(x, G().manual_seed(0), **MANY.options) for x in (torch.zeros(6, 3, 10, 10), pictures(6)))
    assert one.keys.keys() == two.keys.keys() and all(torch.equal(one.keys[k], two.keys[k]) for k in one.keys)


def test_other_transforms_are_applied_in_turn():
    x, plan = pictures(), (MANY, use(image.noise))
    generator = G().manual_seed(4)
    same(looks.together(plan, x, G().manual_seed(4)), [part(x, generator) for part in plan])


def test_a_preset_and_a_recipe_make_the_same_views():
    from counterpoint.core.recipe import Batch, Progress

    x = pictures()
    made = views.preset("image", "simclr", size=8)(x, G().manual_seed(5))
    batch = Batch({"x": x}, {"item": torch.arange(12)})
    recipes = views.two(batch, G().manual_seed(5), Progress(), transform=use(image.simclr, size=8))
    assert all(torch.equal(a, view.fields["x"]) for a, view in zip(made, recipes, strict=True))


@pytest.mark.parametrize(
    "part", [MANY, use(image.simclr, size=8, space="hsv"), use(image.simclr, size=64), use(image.warp, brightness=0.4)]
)
def test_autocast_changes_nothing(part):
    """Views are of data: a loop that makes them where its network computes in bfloat16 gets the same."""
    x = pictures()
    expected = part(x, G().manual_seed(2))[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = part(x, G().manual_seed(2))[0]
    assert made.dtype == torch.float32 and torch.equal(made, expected)


def test_an_empty_batch_is_one_line():
    with pytest.raises(DataError, match="at least one item"):
        looks.together((MANY, MANY), pictures()[:0], G())
