"""Rules made of rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counterpoint.core.errors import OptionError
from counterpoint.core.options import Part
from counterpoint.core.recipe import Rows
from counterpoint.core.similarity import Pairs, Relation


def either(anchors: Rows, candidates: Rows, tables: Mapping[str, Any], *, rules: tuple[Part, ...]) -> Pairs:
    """Positive by any of several rules, with the largest weight; a negative is one for all of them, anything else is ignored.

    rules: the rules to join, at least one.
    """
    found = _each(anchors, candidates, tables, rules)
    positive = Relation.either(*(p.positives for p in found))
    return Pairs(positive, Relation.either(_common([p.candidates for p in found]), positive), found[0].shape)


def both(anchors: Rows, candidates: Rows, tables: Mapping[str, Any], *, rules: tuple[Part, ...]) -> Pairs:
    """Positive by all of several rules, with the first one's weight; a negative is one by any of them, anything else is ignored.

    rules: the rules that have to agree, at least one.
    """
    found = _each(anchors, candidates, tables, rules)
    positive = _common([p.positives for p in found])
    return Pairs(positive, Relation.either(*(p.negatives for p in found), positive), found[0].shape)


def _each(anchors: Rows, candidates: Rows, tables: Mapping[str, Any], rules: tuple[Part, ...]) -> list[Pairs]:
    if not rules:
        raise OptionError("rules = () is not allowed; give at least one rule")
    return [rule(anchors, candidates, tables) for rule in rules]


def _common(relations: list[Relation]) -> Relation:
    """The first relation, zero where one of the others is."""
    return relations[0].without(*(Relation.all().without(other) for other in relations[1:]))
