"""Every leaf of a profile is held against the tag of what released it, before it is written and after it is read."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from mirror_connectors.errors import PrivacyError
from mirror_profiles import columns
from mirror_profiles.columns.kinds import Boolean, Categorical, Numeric, Temporal
from mirror_profiles.privacy import CONFIG, SCHEMA, Released

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_profiles.columns.kinds import Marginal
    from mirror_profiles.profile import Profile, RelationProfile
    from mirror_profiles.rules.kinds import Found

_GIVEN = frozenset(
    {
        *("Profile.schema", "Profile.provenance", "Profile.findings", "Profile.k", "Profile.version"),
        *("Protection.epsilon", "Protection.delta", "Protection.rho", "Protection.booked"),
    }
)
"""Facts of the schema and of the configuration, and Mirror's own sentences; never what a row holds."""
_NAMES = frozenset(
    {
        *("RelationProfile.name", "RelationProfile.owner", "ColumnProfile.name", "FanOut.foreign_key"),
        *(
            "Explainer.column",
            "Explainer.foreign_key",
            "Explainer.by",
            "Repeats.within",
            "Anchor.column",
            "Anchor.foreign_key",
            "Anchor.by",
        ),
        *("Agreement.relation", "Agreement.one", "Agreement.other"),
        *(
            "Value.column",
            "Product.columns",
            "Piece.column",
            "Length.column",
            "Among.column",
            "Missing.column",
            "Like.column",
        ),
        *(
            "Holds.relation",
            "Equals.relation",
            "Equals.column",
            "Determines.relation",
            "Determines.by",
            "ColumnProfile.follows",
            "Determines.column",
        ),
        *("MissingWhen.relation", "MissingWhen.column", "Numbered.relation", "Numbered.column", "Numbered.group"),
        *(
            "OnePer.relation",
            "OnePer.column",
            "OnePer.group",
            "Apart.relation",
            "Apart.start",
            "Apart.end",
            "Apart.group",
        ),
        *(
            "RunningTotal.relation",
            "RunningTotal.column",
            "RunningTotal.amount",
            "RunningTotal.order",
            "RunningTotal.group",
        ),
        *("CopiedFrom.key", "CopiedFrom.column", "CopiedFrom.parent_column", "Totals.key", "Totals.column"),
        *("Subtypes.keys", "Subtypes.column"),
        *("Follows.key", "Follows.column", "Follows.parent_column"),
        *("Protection.unit", "Protection.row_level", "Protection.second"),
    }
)
"""What may hold nothing but names that the profile's schema has."""
_SIZES = frozenset({"RelationProfile.rows", "FanOut.parents", "FanOut.children", "Protection.units"})
"""How many rows relations have: told as they are, unless noise was added."""
_SLACK = 1e-6
"""Shares are floats: their sums are off by some last bits."""


def check_tags(profile: Profile) -> None:
    """Hold every leaf of a profile (number, text, array) against the tag of the nearest record above it that has one.

    A tag must be the privacy gate's own, and may not promise less than the profile: a threshold below its ``k`` is refused, and so are shares
    and counts of fewer rows than that; under differential privacy, whatever noise did not release. Leaves without a tag are names of the
    schema, by a closed list, or they are refused. Raises PrivacyError.
    """
    names = _names(profile)
    budget = _budget(profile)
    for place, leaf, tag in _leaves(profile, "profile", None, names):
        if tag is None:
            raise PrivacyError(f"wanted a tag that says what released {place}, found none; it is not written")
        if tag.door == "threshold" and tag.k < profile.k:
            raise PrivacyError(
                f"wanted {place} released by at least threshold:{profile.k}, found {tag}; it is not written"
            )
        if tag == SCHEMA and (isinstance(leaf, bool) or not isinstance(leaf, int)):
            raise PrivacyError(f"wanted nothing but sizes under the tag schema, found another leaf at {place}")
        if budget and (tag.door in ("schema", "threshold") or tag.rho > budget * (1 + _SLACK)):
            raise PrivacyError(
                f"wanted {place} released by noise within the profile's budget, found {tag}; it is not written"
            )
    for relation in profile.relations:
        _check_relation(relation, profile.k)
    _check_fan_outs(profile)
    for found in profile.rules:
        _check_rule(found)


def _leaves(
    node: object, place: str, tag: Released | None, names: frozenset[str]
) -> Iterator[tuple[str, object, Released | None]]:
    """Yield the leaves that need a tag, with the place of each; hold names against the schema's."""
    if isinstance(node, tuple):
        # as many leaves as are of one kind
        kinds = {type(one): one for one in node}
        if kinds and all(issubclass(kind, str | int | float) for kind in kinds):
            yield from ((place, one, tag) for one in kinds.values())
            return
        for number, one in enumerate(node):
            yield from _leaves(one, f"{place}[{number}]", tag, names)
        return
    if node is None:
        return
    if hasattr(node, "released"):
        tag = node.released
        if not isinstance(tag, Released):
            raise PrivacyError(f"wanted the privacy gate's own tag at {place}, found something else; it is not written")
    if not is_dataclass(node):
        yield place, node, tag
        return
    for part in fields(node):
        field, inner = f"{type(node).__name__}.{part.name}", getattr(node, part.name)
        here = f"{place}.{part.name}"
        if field in _NAMES:
            _check_names(inner, here, names)
        elif field in _SIZES:
            yield here, inner, tag if tag is not None and tag.door in ("dp", "config") else SCHEMA
        elif part.name not in ("released", "kind") and field not in _GIVEN:
            yield from _leaves(inner, here, tag, names)


def _names(profile: Profile) -> frozenset[str]:
    """Return all names that a schema gives: of relations, columns and foreign keys."""
    schema = profile.schema
    columns_ = {column.name for relation in schema for column in relation.columns}
    return frozenset({*columns_, *map(str, schema.foreign_keys), *(str(relation.name) for relation in schema)})


def _check_names(found: object, place: str, names: frozenset[str]) -> None:
    for one in found if isinstance(found, tuple) else (found,):
        if one is not None and str(one) not in names:
            raise PrivacyError(f"wanted a name of the schema at {place}, found another text; it is not written")


def _check_relation(relation: RelationProfile, k: int) -> None:
    """Refuse shares under a threshold that no ``k`` rows can stand behind, and rows that nobody declared to be public."""
    if relation.copy is not None and relation.copy.released != CONFIG:
        raise PrivacyError(f"wanted the rows of {relation.name} released by the configuration alone, found another tag")
    if relation.copy is None and CONFIG in (relation.released, *(column.released for column in relation.columns)):
        raise PrivacyError(
            f"wanted {relation.name} released by the configuration only if its rows are, found otherwise"
        )
    for column in relation.columns:
        marginals = [(column.released, column.marginal), *((gap.released, gap.marginal) for gap in column.gaps)]
        for tag, marginal in marginals:
            if tag.door == "threshold" and _least(marginal) * relation.rows < k * (1 - _SLACK):
                what = f"wanted at least {k} rows behind each share of {relation.name}.{column.name}"
                raise PrivacyError(f"{what}, found fewer; it is not written")


def _check_fan_outs(profile: Profile) -> None:
    """Refuse a fan-out that was not held against a threshold, but between relations that are copied."""
    copied = {relation.name for relation in profile.relations if relation.copy is not None}
    children = {str(key): key.child for key in profile.schema.foreign_keys}
    for one in profile.fan_outs:
        if one.released == CONFIG and children[one.foreign_key] not in copied:
            raise PrivacyError(
                f"wanted {one.foreign_key} released by the configuration only if rows are, found otherwise"
            )


def _budget(profile: Profile) -> float:
    """Return what all that a profile says of a unit may cost, in zCDP; 0 under a threshold."""
    protection = profile.protection
    return 0.0 if protection is None or protection.epsilon is None else protection.rho


def _least(marginal: Marginal) -> float:
    """Return the least share that is none of nothing; infinity where there are none."""
    match marginal:
        case Numeric() | Categorical() | Temporal() | Boolean():
            return min((share for share in columns.weights(marginal) if share > 0), default=float("inf"))
        case _:
            return float("inf")


def _check_rule(found: Found) -> None:
    counts = (found.support, found.exceptions)
    if found.released.door == "threshold" and any(0 < count < found.released.k for count in counts):
        raise PrivacyError("wanted no rule that counts fewer rows than the threshold, found one; it is not written")
