"""Planner and bonus against what is known of them, and a density ratio that is learned."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.core.errors import DataError, OptionError
from counterpoint.tools import exploration


def _lock(seed: int = 0, **options: int) -> exploration.Process:
    return exploration.lock(np.random.default_rng(seed), **options)


def test_the_lock_has_low_rank_and_is_hard_to_open() -> None:
    process = _lock()
    rows = process.transition.reshape(-1, len(process.start))
    assert np.linalg.matrix_rank(rows) == 6 and np.allclose(rows.sum(1), 1)
    best = exploration.worth(process, exploration.plan(process.transition, process.reward, process.horizon)[0])
    blind = np.random.default_rng(1).integers(4, size=(50, process.horizon, 36))
    assert best > 1 and np.mean([exploration.worth(process, policy) for policy in blind]) < 0.05 * best


def test_the_plan_is_the_best_of_all_policies() -> None:
    process = _lock(hidden=2, each=1, actions=2, horizon=2)
    policy, value = exploration.plan(process.transition, process.reward, process.horizon)
    every = [np.array(bits).reshape(2, 2) for bits in np.ndindex(2, 2, 2, 2)]
    assert exploration.worth(process, policy) == pytest.approx(max(exploration.worth(process, p) for p in every))
    assert process.start @ value == pytest.approx(exploration.worth(process, policy))


def test_an_episode_follows_the_plan_but_for_two_actions() -> None:
    process = _lock()
    policy = np.full((process.horizon, 36), 2)
    found = exploration.play(process, policy, np.random.default_rng(0), uniform=3)
    assert (found[[0, 1, 2, 5, 6], 1] == 2).all() and (found[1:, 0] == found[:-1, 2]).all()
    many = [exploration.play(process, policy, np.random.default_rng(i), uniform=3)[3:5, 1] for i in range(40)]
    assert set(np.concatenate(many)) == {0, 1, 2, 3}


def test_the_bonus_is_the_inverse_root_of_the_count_for_a_table() -> None:
    seen = np.array([0, 0, 0, 2])
    assert exploration.ellipsoid(np.eye(4), seen, ridge=1.0) == pytest.approx([0.5, 1.0, 0.5**0.5, 1.0])
    rows = np.random.default_rng(0).dirichlet(np.ones(3), 5)
    inverse = np.linalg.inv(0.1 * np.eye(3) + sum(np.outer(rows[i], rows[i]) for i in seen))
    assert exploration.ellipsoid(rows, seen, ridge=0.1) == pytest.approx(np.sqrt(np.einsum("id,de,ie->i", rows, inverse, rows)))


def test_what_is_no_process_is_refused() -> None:
    process = _lock()
    with pytest.raises(DataError, match="not a distribution"):
        exploration.Process(process.transition * 2, process.reward, process.start, 3)
    with pytest.raises(DataError, match="not finite"):
        exploration.Process(process.transition, process.reward * np.nan, process.start, 3)
    with pytest.raises(OptionError, match="ridge"):
        exploration.ellipsoid(np.eye(2), np.array([0]), ridge=0.0)
    with pytest.raises(OptionError, match="no plan earns"):
        exploration.explore(0, exploration.Process(process.transition, 0 * process.reward, process.start, 3))


def test_the_learned_transition_nears_the_true_one() -> None:
    """With ample data φ · ψ is P(s' | s, a) / P⁻(s'), as the theory says."""
    process = _lock(hidden=3, each=2, actions=2)
    rng = np.random.default_rng(0)
    now = rng.integers(12, size=4000)
    following = np.array([rng.choice(6, p=process.transition.reshape(12, 6)[i]) for i in now])
    seen = np.stack([now // 2, now % 2, following], 1)
    phi, transition = exploration.Learned(6, 2, 0, rank=6, fixed=False, steps=600)(seen)
    assert np.abs(transition - process.transition).sum(-1).mean() / 2 < 0.08
    assert phi.min() >= 0 and np.allclose(phi.sum(1), 1)
    chance = np.abs(np.bincount(following, minlength=6) / 4000 - process.transition).sum(-1).mean() / 2
    assert chance > 0.2
    counted = exploration.Counted(6, 2)(seen)[1]
    assert np.abs(counted - process.transition).max() < 0.1


def test_a_run_repeats_and_says_how_it_went() -> None:
    process = _lock(hidden=2, each=2, actions=2, horizon=3)
    how = {"rounds": 2, "episodes": 3, "steps": 3, "rank": 3}
    one, two = (exploration.explore(0, process, **how) for _ in range(2))
    assert one == two and set(one) == {"regret", "final", "error", "reached"} and 0 <= one["regret"] <= 1
    assert exploration.explore(0, process, features="tabular", **how)["final"] > 0
