"""What a protocol measures: something that embeds items, and the items, split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from counterpoint.core.errors import RequirementError


@dataclass(frozen=True)
class Subject:
    """One arm of a comparison after its training.

    embed: (data set) -> (items, d) float32, in the order of the set's ids.
    train, test, whole: data sets: what was learned from, what was held out (whole where nothing was), everything.
    seed:  of every draw of the protocol.
    model: the trained model; None for references that have none (raw input, PCA).
    name:  of the arm.
    """

    embed: Callable[[Any], np.ndarray]
    train: Any
    test: Any
    whole: Any
    seed: int
    model: nn.Module | None = None
    name: str = "trained"

    @property
    def held_out(self) -> bool:
        """Whether the test items were kept apart from training."""
        return self.test is not self.whole

    def needed_model(self, protocol: str) -> nn.Module:
        """The model, for protocols that ask more of it than embeddings."""
        if self.model is None:
            raise RequirementError(f"{protocol} needs a model and {self.name} has none")
        return self.model
