from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from counterpoint import encoders
from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.options import from_plain, to_plain, use
from counterpoint.core.recipe import Batch, Modality, Progress, Rows, Spec, View
from counterpoint.core.registry import example_spec

NOW = Progress(step=1, steps=10)
KINDS = ("image", "volume", "video", "audio", "series", "table", "text", "array", "points", "skeleton", "graph")


def full(spec: Spec, **more: object) -> nn.Module:
    mlp = use(encoders.heads.mlp, width=16)
    return encoders.network(
        spec,
        projector=mlp,
        predictor=mlp,
        teacher=use(encoders.teacher.ema, momentum=0.9),
        queue=use(encoders.queue.fifo, size=12),
        prototypes=use(encoders.heads.prototypes, count=5),
        **more,
    )


def descend(model: nn.Module, rate: float) -> None:
    """One step of plain gradient descent (torch.optim takes seconds to import)."""
    with torch.no_grad():
        for p in model.parameters():
            p -= rate * p.grad


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_builds_from_its_specification_and_gives_rows(kind: str, view_of: Callable[..., View]) -> None:
    spec = example_spec(kind)
    model = full(spec)
    out = model([view_of(spec.only, 6), view_of(spec.only, 6)], NOW)
    assert set(out) == {"h", "z", "p", "teacher", "queue", "prototypes"}
    for space, width in (("h", model.backbone.width), ("z", 16), ("p", 16), ("teacher", 16)):
        assert out[space].z.shape == (12, width)
        assert out[space].keys["item"].tolist() == [*range(6), *range(6)]
        assert out[space].keys["view"].tolist() == [0] * 6 + [1] * 6
        assert not out[space].shared and out[space].z.isfinite().all()
    assert out["queue"].shared and out["queue"].z.shape == (12, 16)
    assert out["prototypes"].shared and out["prototypes"].z.shape == (5, 16)
    assert not out["teacher"].z.requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_lower_a_loss_and_every_weight_learns(kind: str, view_of: Callable[..., View]) -> None:
    spec = example_spec(kind)
    model = encoders.network(spec, projector=use(encoders.heads.mlp, width=4))
    view = view_of(spec.only, 8)
    target = torch.randn(8, 4)
    losses = []
    for _ in range(5):
        loss = (model([view], NOW)["z"].z - target).square().mean()
        model.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        descend(model, 0.02)
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_autocast_gives_finite_rows_and_gradients(kind: str, view_of: Callable[..., View]) -> None:
    spec = example_spec(kind)
    model = encoders.network(spec)
    with torch.autocast("cpu", torch.bfloat16):
        out = model([view_of(spec.only, 6)], NOW)
    out["z"].z.float().square().mean().backward()
    assert out["z"].z.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_state_goes_through_safetensors_and_comes_back(kind: str, tmp_path: object, batch_of: Callable[..., Batch]) -> None:
    spec = example_spec(kind)
    torch.manual_seed(1)
    model = full(spec)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, f"{tmp_path}/model.safetensors")
    torch.manual_seed(2)
    other = full(spec)
    batch = batch_of(spec.only, 5)
    assert not torch.equal(model.embed(batch)["embedding"].z, other.embed(batch)["embedding"].z)
    other.load_state_dict(load_file(f"{tmp_path}/model.safetensors"))
    torch.testing.assert_close(model.embed(batch)["embedding"].z, other.embed(batch)["embedding"].z, rtol=0, atol=0)


def test_the_same_seed_gives_the_same_weights() -> None:
    def built() -> dict[str, torch.Tensor]:
        torch.manual_seed(3)
        return full(example_spec("image")).state_dict()

    one, two = built(), built()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_children_are_named_after_the_parts() -> None:
    model = full(example_spec("array"))
    assert [name for name, _ in model.named_children()] == ["backbone", "projector", "predictor", "teacher", "queue", "prototypes"]
    assert [name for name, _ in encoders.network(example_spec("array"), projector=None).named_children()] == ["backbone"]


def test_without_projector_z_is_h(view_of: Callable[..., View]) -> None:
    spec = example_spec("array")
    out = encoders.network(spec, projector=None)([view_of(spec.only, 4)], NOW)
    assert torch.equal(out["h"].z, out["z"].z)


class Counting(nn.Module):
    """Remembers the shapes it was given; a row is the mean of its item."""

    width = 1

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(x.shape))
        return x.flatten(1).mean(1, keepdim=True)


def test_views_of_equal_shape_are_one_pass_and_rows_keep_the_order_of_views() -> None:
    sizes, counts = (8, 4, 8, 4, 6), (3, 3, 2, 3, 3)
    views = [
        View("global" if size == 8 else "local", {"x": torch.full((count, 1, size, size), float(i))}, {"item": torch.arange(count)})
        for i, (size, count) in enumerate(zip(sizes, counts))
    ]
    model = encoders.network(Spec(10, {"x": Modality("image", (1, 8, 8))}), backbone=use(lambda modality: Counting()), projector=None)
    rows = model(views, NOW)["h"]
    assert model.backbone.shapes == [(5, 1, 8, 8), (6, 1, 4, 4), (3, 1, 6, 6)]
    assert rows.z[:, 0].tolist() == [float(i) for i, count in enumerate(counts) for _ in range(count)]
    assert rows.keys["view"].tolist() == [i for i, count in enumerate(counts) for _ in range(count)]
    assert rows.keys["view"].dtype == torch.int64
    assert rows.keys["item"].tolist() == [i for count in counts for i in range(count)]
    assert rows.roles == ("global", "local", "global", "local", "local")


def test_keys_of_views_are_kept_and_unknown_where_a_view_lacks_them(view_of: Callable[..., View]) -> None:
    spec = example_spec("array")
    first = view_of(spec.only, 2, flip=torch.tensor([1, 0]), crop=torch.rand(2, 4))
    keys = encoders.network(spec)([first, view_of(spec.only, 2)], NOW)["z"].keys
    assert keys["flip"].tolist() == [1, 0, -1, -1]
    assert keys["crop"][:2].equal(first.keys["crop"]) and keys["crop"][2:].isnan().all()


def test_embed_is_in_eval_mode_and_puts_every_mode_back(batch_of: Callable[..., Batch]) -> None:
    spec = example_spec("image")
    model = full(spec)
    model.train()
    model.projector.eval()
    before = [module.training for module in model.modules()]
    state = copy.deepcopy(model.state_dict())
    batch = batch_of(spec.only, 6)
    rows = model.embed(batch)["embedding"]
    assert [module.training for module in model.modules()] == before
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert not rows.z.requires_grad and rows.z.dtype == torch.float32
    alone = torch.cat([model.embed(Batch({"x": x[None]}, {"item": torch.tensor([0])}))["embedding"].z for x in batch.fields["x"]])
    torch.testing.assert_close(rows.z, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("space", "width"), [("h", 128), ("z", 16), ("teacher", 128)])
def test_embed_returns_the_space_it_is_asked_for(space: str, width: int, batch_of: Callable[..., Batch]) -> None:
    spec = example_spec("array")
    model = full(spec, embed=space)
    batch = batch_of(spec.only, 4)
    rows = model.embed(batch)["embedding"]
    assert rows.z.shape == (4, width)
    model.eval()
    x = batch.fields["x"]
    expected = {
        "h": lambda: model.backbone(x),
        "z": lambda: model.projector(model.backbone(x)),
        "teacher": lambda: model.teacher.backbone(x),
    }
    torch.testing.assert_close(rows.z, expected[space]())


def test_one_modality_of_several_can_be_chosen(view_of: Callable[..., View]) -> None:
    spec = example_spec("paired")
    model = encoders.network(spec, modality="series")
    view = View("series", {"series": torch.randn(3, *spec.modalities["series"].shape)}, {"item": torch.arange(3)})
    assert model([view], NOW)["h"].z.shape[0] == 3
    with pytest.raises(OptionError, match="no modality 'serie'; did you mean 'series'"):
        encoders.network(spec, modality="serie")
    with pytest.raises(RequirementError, match="one modality"):
        encoders.network(spec)


def test_what_is_wrong_is_said(view_of: Callable[..., View]) -> None:
    spec = example_spec("image")
    with pytest.raises(OptionError, match="needs a teacher"):
        encoders.network(spec, embed="teacher")
    with pytest.raises(OptionError, match=r"table\.mixed encodes table data and these are image"):
        encoders.network(spec, backbone=use(encoders.table.mixed))
    with pytest.raises(OptionError, match="no encoder for 'smell' data"):
        encoders.default(Modality("smell", (3,)))
    with pytest.raises(RequirementError, match="reads 'x' and the view holds y"):
        encoders.network(spec)([View("global", {"y": torch.zeros(2, 3, 32, 32)}, {"item": torch.arange(2)})], NOW)
    with pytest.raises(RequirementError, match="no views"):
        encoders.network(spec)([], NOW)
    with pytest.raises(OptionError, match="width = 0"):
        use(encoders.heads.mlp, width=0)


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_parts_that_yaml_can_hold_and_base_is_larger(kind: str) -> None:
    spec = example_spec(kind)
    small, base = encoders.default(spec), encoders.default(spec, size="base")
    assert from_plain(to_plain(base)) == base

    def weights(part: object) -> int:
        return sum(p.numel() for p in part(spec.only).parameters())

    assert weights(base) > 1.5 * weights(small)


def test_gradient_reaches_the_student_and_not_the_teacher(view_of: Callable[..., View]) -> None:
    spec = example_spec("array")
    model = full(spec)
    out = model([view_of(spec.only, 4), view_of(spec.only, 4)], NOW)
    ((out["p"].z - out["teacher"].z).square().mean() + (out["z"].z @ out["queue"].z.T).mean()).backward()
    reached = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert reached == {"backbone", "projector", "predictor"}


def test_rows_can_be_gathered_again_by_role(view_of: Callable[..., View]) -> None:
    from counterpoint.core.recipe import Select

    spec = example_spec("array")
    out = encoders.network(spec)([view_of(spec.only, 3, "global"), view_of(spec.only, 3, "local", start=10)], NOW)
    found = Select("z", ("local",))(out)
    assert isinstance(found, Rows) and found.keys["item"].tolist() == [10, 11, 12]
