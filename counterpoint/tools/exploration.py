"""Exploration with learned features: an optimistic planner with an elliptical bonus, and a decision process whose truth is known.

Qiu et al., "Contrastive UCB", ICML 2022 (paper 056), in the finite setting of its theory. Round by round: play the current plan, learn the
transition's features from all that was seen (method `contrastive_ucb`), plan again with a bonus where features were seen seldom.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from counterpoint import data
from counterpoint.core import registry
from counterpoint.core.errors import DataError, OptionError
from counterpoint.core.options import Count, NotNegative, Positive, Share, Whole, check
from counterpoint.core.recipe import Progress, Update, View

Features = Literal["contrastive", "random", "tabular"]


@dataclass(frozen=True)
class Process:
    """A finite decision process.

    transition: (states, actions, states), rows sum to 1.   reward: (states, actions) in [0, 1].   start: (states,) sums to 1.
    horizon:    steps of an episode.
    """

    transition: np.ndarray
    reward: np.ndarray
    start: np.ndarray
    horizon: int

    def __post_init__(self) -> None:
        for name, rows in (("transition", self.transition), ("start", self.start)):
            if (rows < 0).any() or not np.allclose(rows.sum(-1), 1.0, atol=1e-6):
                raise DataError(f"process: a row of {name} is not a distribution; it must be >= 0 and sum to 1")
        if not np.isfinite(self.reward).all():
            raise DataError("process: a reward is not finite")


def lock(
    rng: np.random.Generator, *, hidden: Count = 6, each: Count = 6, actions: Count = 4, horizon: Count = 10, slip: Share = 0.1
) -> Process:
    """A combination lock seen through noise, of rank `hidden`.

    In each observation one action leads on to the next hidden state (but for `slip`), all others lead back to the first; only the last
    hidden state has reward 1. A hidden state shows one of `each` observations.
    """
    states = hidden * each
    block = np.arange(states) // each
    shown = np.zeros((hidden, states))
    for k in range(hidden):
        shown[k, block == k] = rng.dirichlet(np.full(each, 2.0))
    right = rng.integers(actions, size=states)
    latent = np.zeros((states, actions, hidden))
    latent[..., 0] = 1.0
    for s in range(states):
        onward = np.zeros(hidden)
        onward[min(block[s] + 1, hidden - 1)] += 1 - slip
        onward[0] += slip
        latent[s, right[s]] = onward
    reward = np.repeat((block == hidden - 1)[:, None], actions, axis=1).astype(float)
    return Process(latent @ shown, reward, shown[0], horizon)


def plan(transition: np.ndarray, reward: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Backward induction: Q_h = min(r + P V_{h+1}, horizon), V_h = max_a Q_h.  (horizon, states) greedy actions, (states,) V_1."""
    value = np.zeros(len(reward))
    policy = np.zeros((horizon, len(reward)), dtype=np.int64)
    for h in reversed(range(horizon)):
        q = np.minimum(reward + transition @ value, horizon)
        policy[h] = q.argmax(1)
        value = q.max(1)
    return policy, value


def worth(process: Process, policy: np.ndarray) -> float:
    """The expected return of a policy (horizon, states)."""
    value = np.zeros(len(process.start))
    every = np.arange(len(process.start))
    for h in reversed(range(process.horizon)):
        value = process.reward[every, policy[h]] + process.transition[every, policy[h]] @ value
    return float(process.start @ value)


def play(process: Process, policy: np.ndarray, rng: np.random.Generator, *, uniform: int | None = None) -> np.ndarray:
    """One episode, (horizon, 3): state, action, next state; two actions, from the step `uniform` on, are drawn evenly from all."""
    states, actions = process.reward.shape
    state = rng.choice(states, p=process.start)
    found = np.zeros((process.horizon, 3), dtype=np.int64)
    for h in range(process.horizon):
        free = uniform is not None and uniform <= h < uniform + 2
        action = int(rng.integers(actions)) if free else int(policy[h, state])
        following = rng.choice(states, p=process.transition[state, action])
        found[h] = state, action, following
        state = following
    return found


def ellipsoid(features: np.ndarray, seen: np.ndarray, *, ridge: Positive = 1.0) -> np.ndarray:
    """√(φᵀ Λ⁻¹ φ) of every row of features (n, d), Λ = ridge · I + Σ over seen rows (m,) of φ φᵀ: large where features were seen seldom.

    Sums are taken anew over all that was seen, since features move as they are learned; by Cholesky's factor, so that nothing is negative.
    """
    check(ridge, Positive, "ellipsoid: ridge")
    from scipy.linalg import cholesky, solve_triangular

    count = np.bincount(seen, minlength=len(features)).astype(float)
    gram = ridge * np.eye(features.shape[1]) + (features * count[:, None]).T @ features
    return np.asarray(np.linalg.norm(solve_triangular(cholesky(gram, lower=True), features.T, lower=True), axis=0))


class Learned:
    """Features of transitions from `contrastive_ucb`, learned on from what they were each time more was seen."""

    def __init__(self, states: int, actions: int, seed: int, *, rank: int, fixed: bool, steps: int) -> None:
        self.states, self.actions, self.seed = states, actions, seed
        self.rank, self.fixed, self.steps = rank, fixed, steps
        self.weights: dict[str, Tensor] | None = None

    def __call__(self, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From transitions (n, 3): φ (states · actions, rank), rows sum to 1, and the transition (states, actions, states)."""
        from counterpoint.training.loop import Training
        from counterpoint.training.settings import Settings

        sizes = {"now": self.states * self.actions, "next": self.states}
        codes = {"now": seen[:, 0] * self.actions + seen[:, 1], "next": seen[:, 2]}
        plain = {n: {"kind": "array", "mean": [0.0] * k, "std": [1.0] * k, "constant": 0, "raw": [k]} for n, k in sizes.items()}
        one_hot = {n: np.eye(k, dtype=np.float32) for n, k in sizes.items()}
        given = data.read(
            {n: one_hot[n][codes[n]] for n in sizes}, kind="array", preprocessing={"version": 1, "modalities": plain, "names": {}}
        )
        recipe = registry.get("contrastive_ucb")(given.spec, rank=self.rank).at("encoder.projector.bias", False)
        for name in sizes:
            recipe = recipe.at(f"encoder.backbones.{name}", "encoders.array.itself")
        if self.fixed:
            recipe = recipe.at("updates", (Update(frozen={"towers.now": 1.0}),))
        batch = min(256, len(seen))
        epochs = max(self.steps // max(len(seen) // batch, 1), 1)
        settings = Settings(epochs=epochs, batch=batch, lr=0.05, weight_decay=0.0, seed=self.seed, accelerator="cpu", log_every=10**6)
        with tempfile.TemporaryDirectory() as folder:
            training = Training(recipe, given, settings, Path(folder))
            if self.weights is not None:
                training.model.load_state_dict(self.weights)
            training.fit()
            self.weights = {name: value.clone() for name, value in training.model.state_dict().items()}
            training.model.eval()
            shown = [View(n, {n: torch.from_numpy(x)}, {"item": torch.arange(len(x))}) for n, x in one_hot.items()]
            with torch.no_grad():
                out = training.model(shown, Progress())
        phi, psi = (out[name].z.double().numpy() for name in sizes)
        joint = (phi @ psi.T) * np.bincount(seen[:, 2], minlength=self.states) / len(seen)
        transition = joint / np.maximum(joint.sum(1, keepdims=True), 1e-12)
        return phi / phi.sum(1, keepdims=True), transition.reshape(self.states, self.actions, self.states)


class Counted:
    """The tabular model: frequencies of what followed; every state and action its own feature."""

    def __init__(self, states: int, actions: int) -> None:
        self.states, self.actions = states, actions

    def __call__(self, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `Learned`; what was never done leads anywhere."""
        counts = np.zeros((self.states * self.actions, self.states))
        np.add.at(counts, (seen[:, 0] * self.actions + seen[:, 1], seen[:, 2]), 1.0)
        total = counts.sum(1, keepdims=True)
        transition = np.where(total > 0, counts / np.maximum(total, 1), 1 / self.states)
        return np.eye(self.states * self.actions), transition.reshape(self.states, self.actions, self.states)


def explore(
    seed: Whole,
    process: Process | None = None,
    *,
    features: Features = "contrastive",
    bonus: NotNegative = 3.0,
    rounds: Count = 32,
    episodes: Count = 10,
    rank: Count = 32,
    steps: Count = 60,
) -> dict[str, float]:
    """Play, learn and plan `rounds` times, on a combination lock of this seed where no process is given.

    In the i-th episode of a round two actions, from the i-th step on, are uniform, so that everything is tried from wherever the plan
    leads; the other actions are the plan's. {"regret" (1 − mean return of the plans / best return), "final" (return of the last plan
    without bonus / best), "error" (mean total variation of the learned transition), "reached" (episodes until a plan reached 90 % of the
    best; all of them where none did)}.

    features: "contrastive" learned with `contrastive_ucb`, "random" its untrained φ with a learned ψ, "tabular" counts.
    bonus: γ; the bonus is min(γ √(φᵀ Λ⁻¹ φ), horizon).
    rounds: of playing, learning, planning.
    episodes: in a round.
    rank: width of learned features.
    steps: of learning in a round.
    """
    process = lock(np.random.default_rng(seed)) if process is None else process
    states, actions = process.reward.shape
    rng = np.random.default_rng(seed)
    learned = Learned(states, actions, seed, rank=rank, fixed=features == "random", steps=steps)
    learn = Counted(states, actions) if features == "tabular" else learned
    best = worth(process, plan(process.transition, process.reward, process.horizon)[0])
    if best <= 0:
        raise OptionError("explore: no plan earns any reward in this process; there is nothing to find")
    policy = rng.integers(actions, size=(process.horizon, states))
    seen = np.zeros((0, 3), dtype=np.int64)
    returns, transition = [], process.transition
    for _ in range(rounds):
        returns.append(worth(process, policy))
        played = [play(process, policy, rng, uniform=i % process.horizon) for i in range(episodes)]
        seen = np.concatenate([seen, *played])
        phi, transition = learn(seen)
        width = ellipsoid(phi, seen[:, 0] * actions + seen[:, 1]).reshape(states, actions)
        policy, _ = plan(transition, process.reward + np.minimum(bonus * width, process.horizon), process.horizon)
    greedy = worth(process, plan(transition, process.reward, process.horizon)[0])
    good = [i for i, value in enumerate(returns) if value >= 0.9 * best]
    return {
        "regret": 1 - float(np.mean(returns)) / best,
        "final": greedy / best,
        "error": float(np.abs(transition - process.transition).sum(-1).mean() / 2),
        "reached": float((good[0] if good else rounds) * episodes),
    }
