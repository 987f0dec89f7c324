"""The model of one modality: backbone and projector, and whatever else a method names, all of them children.

Spaces, each stacked view by view with the keys of the views and "view":

    h          (n, width)      what the backbone gives
    z          (n, projector)  what the projector makes of it
    p          (n, predictor)  what the predictor makes of z
    teacher    (m, projector)  z of the moving average, without gradient
    queue      (q, projector)  earlier rows, shared
    prototypes (k, projector)  learned directions, shared
    decoded    (n, numbers)    what the decoder makes of h, and "input", the items' numbers that it should make
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, cast

import torch
from torch import Tensor, nn

from counterpoint.core.errors import OptionError
from counterpoint.core.options import Part, use
from counterpoint.core.recipe import Batch, Embeddings, Graph, Progress, Rows, Spec, View
from counterpoint.encoders import heads
from counterpoint.encoders.kinds import default
from counterpoint.encoders.stacking import encode, evaluating, frame, modality_of
from counterpoint.encoders.tokens import encode_tokens, token_heads


def network(
    spec: Spec,
    *,
    backbone: Part | None = None,
    projector: Part | None = use(heads.mlp),  # noqa: B008  (a part is a frozen value)
    predictor: Part | None = None,
    teacher: Part | None = None,
    queue: Part | None = None,
    prototypes: Part | None = None,
    latent: Part | None = None,
    decoder: Part | None = None,
    tokens: Mapping[str, Part] = {},
    modality: str | None = None,
    embed: Literal["h", "z", "teacher"] = "h",
) -> Network:
    """The model of one modality.

    backbone: (Modality) -> module with `width`; the default network of the modality's kind where none is given.
    projector: (width) -> module with `width`; without one, z is h.
    predictor: (width) -> module with `width`, on z.
    teacher: (backbone, projector) -> module (views, modality) -> Rows, a moving average of both.
    queue: (width) -> module () -> Rows, the rows of earlier batches.
    prototypes: (width) -> module () -> Rows.
    latent: (spec, width of h, width of z) -> module (spaces, now) -> more spaces, made from the rows of all views (encoders.latent).
    decoder: (width of h, modality) -> module on h that gives the items' numbers back (encoders.heads.decoder).
    tokens: name -> (width, modality) -> module (tokens (n, t, width), there (n, t), rows, now) -> spaces made of the steps inside an item
        (encoders.tokens); the backbone gives tokens then, one for every step.
    modality: which modality is encoded, where there are several.
    embed: what `embed` returns: the backbone's rows, the projector's, or those of the teacher's backbone.
    """
    name, found = modality_of(spec, modality)
    if embed == "teacher" and teacher is None:
        raise OptionError("embed = 'teacher' needs a teacher, and this network has none")
    trunk = (backbone or default(found))(found)
    head = projector(trunk.width) if projector is not None else None
    width = trunk.width if head is None else head.width
    return Network(
        name,
        embed,
        backbone=trunk,
        projector=head,
        predictor=predictor(width) if predictor is not None else None,
        teacher=teacher(trunk, head) if teacher is not None else None,
        queue=queue(width) if queue is not None else None,
        prototypes=prototypes(width) if prototypes is not None else None,
        latent=latent(spec, trunk.width, width) if latent is not None else None,
        decoder=decoder(trunk.width, found) if decoder is not None else None,
        tokens=token_heads(trunk, found, tokens) if tokens else None,
    )


class Network(nn.Module):
    """See `network`. Children that are None do not exist."""

    def __init__(self, modality: str, embedding: str, **parts: nn.Module | None) -> None:
        super().__init__()
        self.modality = modality
        self.embedding = embedding
        for name, part in parts.items():
            if part is not None:
                self.add_module(name, part)

    def forward(self, views: Sequence[View], now: Progress) -> Embeddings:
        """All views at once: {space: Rows}."""
        rows = frame(views)
        children = dict(self.named_children())
        emitted: Embeddings = {}
        if "tokens" in children:
            each, there = encode_tokens(children["backbone"], [view.fields for view in views], self.modality)
            h = children["backbone"].pool(each, there)  # type: ignore[operator]
            for head in children["tokens"].children():
                emitted.update(head(each, there, rows, now))
        else:
            h = encode(children["backbone"], [view.fields for view in views], self.modality)
        z = children["projector"](h) if "projector" in children else h
        out = {"h": rows.holding(h), "z": rows.holding(z), **emitted}
        if "predictor" in children:
            out["p"] = rows.holding(children["predictor"](z))
        if "teacher" in children:
            out["teacher"] = children["teacher"](views, self.modality)
        if "queue" in children:
            out["queue"] = replace(children["queue"](), roles=rows.roles)
        if "prototypes" in children:
            out["prototypes"] = children["prototypes"]()
        if "decoder" in children:
            given = [view.fields[self.modality] for view in views]
            numbers = torch.cat([(x.x if isinstance(x, Graph) else x).flatten(1).float() for x in given])
            out |= {"decoded": rows.holding(children["decoder"](h)), "input": rows.holding(numbers)}
        if "latent" in children:
            out.update(children["latent"](out, now))
        return out

    def embed(self, batch: Batch) -> Embeddings:
        """{"embedding": Rows (b, d)} in eval mode, without gradient."""
        fields = dict(batch.fields)
        return {"embedding": Rows(evaluating(self, lambda: self._embedding(fields)).float(), batch.keys)}

    def _embedding(self, fields: dict[str, object]) -> Tensor:
        children = dict(self.named_children())
        trunk = self.get_submodule("teacher.backbone") if self.embedding == "teacher" else children["backbone"]
        h = encode(trunk, [fields], self.modality)
        return cast(Tensor, children["projector"](h)) if self.embedding == "z" and "projector" in children else h
