"""What belongs to `fit` and to no method: budget, batch, optimiser, devices, precision."""

from __future__ import annotations

import dataclasses
import re
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from counterpoint.core.errors import OptionError
from counterpoint.core.options import Count, NotNegative, Positive, Range, Share, Whole, check


@dataclass(frozen=True)
class Settings:
    """Options of training.

    epochs: passes over the training items; chosen by the number of items where neither it nor `time` is given.
    time: a budget for training in place of epochs, "90s", "5m", "2h" or seconds.
    batch: items that go through the encoder at once; a 32nd of the training items, 16 to 256, where nothing is said.
    effective_batch: items that are contrasted together; more than `batch` is done in two passes with the same gradient.
    neighbours: of a graph, how many neighbours of a node are drawn into its batch, hop by hop, as in "[10, 10]"; the whole graph is encoded
        at every step where it is [], and where nothing is said and the graph is small.
    lr: highest learning rate; 1e-3, or 3e-5 where the encoder is pre-trained, where nothing is said.
    weight_decay: weight decay of the optimiser.
    optimizer: adamw, sgd (momentum 0.9) or lamb-free adam.
    warmup: share of the steps in which the learning rate rises; it then falls as a cosine.
    clip: largest norm of the gradient.
    precision: 32-true or bf16-mixed; auto is bf16 on a GPU, and for images and the like on a CPU, that computes in it.
    accelerator: auto, cpu, cuda or mps.
    devices: number of devices (processes), or auto for one here and all under torchrun or SLURM.
    compile: compile the parts of the model with torch.compile; takes a minute, and on a CPU gained a third with the default network.
    workers: threads that read and decode data which do not fit in memory.
    seed: of everything random.
    log_every: steps between two lines of metrics.jsonl.
    save_every: seconds between two checkpoints; one is written at the end in any case.
    pause_after: stop (resumable) after this many epochs.
    """

    epochs: Count | None = None
    time: float | str | None = None
    batch: Count | None = None
    effective_batch: Count | None = None
    neighbours: tuple[Count, ...] | None = None
    lr: Positive | None = None
    weight_decay: NotNegative = 1e-4
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    warmup: Share = 0.05
    clip: Positive | None = None
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: Count | Literal["auto"] = "auto"
    compile: bool = False
    workers: Whole = 2
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    log_every: Count = 10
    save_every: NotNegative = 60.0
    pause_after: Count | None = None

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(Settings, include_extras=True)
        for spec in dataclasses.fields(self):
            check(getattr(self, spec.name), hints[spec.name], spec.name)
        if self.time is not None:
            object.__setattr__(self, "time", seconds(self.time))
        if self.epochs is not None and self.time is not None:
            raise OptionError("epochs and time are both given; give one of them")
        if self.effective_batch is not None and self.effective_batch < self.chunk:
            raise OptionError(f"effective_batch = {self.effective_batch} is less than batch = {self.chunk}; it must be at least that")

    @classmethod
    def names(cls) -> list[str]:
        return [f.name for f in dataclasses.fields(cls)]

    def plain(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def together(self) -> int:
        """Items drawn for one step."""
        return self.effective_batch or self.chunk

    @property
    def chunk(self) -> int:
        """Items that go through the encoder at once."""
        return self.batch or 256

    @property
    def rate(self) -> float:
        """The highest learning rate."""
        return self.lr or 1e-3


def seconds(text: float | str) -> float:
    """ "90s", "5m", "1h30m", "2h" or a number as seconds."""
    if isinstance(text, (int, float)) or re.fullmatch(r"\d+(\.\d+)?", text.strip()):
        amount = float(text)
    else:
        found = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip().lower())
        if not found or not any(found.groups()):
            raise OptionError(f"time = {text!r} is not a duration; write it like 90s, 5m or 1h30m")
        amount = sum(float(n or 0) * unit for n, unit in zip(found.groups(), (3600, 60, 1), strict=True))
    if not amount > 0:
        raise OptionError(f"time = {text!r} is not allowed; it must be > 0")
    return amount
