"""Rules found in the rows that were read are put to the sources themselves, which look at every row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.metrics.placed import Placed
from mirror.metrics.rules import violations
from mirror_connectors.errors import ReadError
from mirror_connectors.schema import Finding
from mirror_profiles.rules.kinds import relation_of
from mirror_profiles.rules.spelling import spell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror_connectors.base import Connector
    from mirror_profiles.profile import Profile
    from mirror_profiles.rules.kinds import Found


def confirmed(profile: Profile, sources: Mapping[str, Connector]) -> Profile:
    """Return the profile with the rules that every row of the sources obeys, and findings for those that almost all do.

    A rule that spans two databases, or that an engine has no words for, stands as it was found. Nothing is written.
    """
    placed = {
        relation.name: Placed(relation, relation, sources[relation.name.source])
        for relation in profile.schema
        if relation.name.source in sources
    }
    kept: list[Found] = []
    findings = list(profile.findings)
    for found in profile.rules:
        where = str(relation_of(found.rule))
        exceptions: int | None = found.exceptions
        if not exceptions:
            try:
                exceptions = violations(found.rule, placed)
            except (ReadError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
                # what cannot be asked cannot be promised
                findings.append(Finding(where, f"{spell(found.rule)}: could not be put to the source, and is not kept"))
                continue
        if exceptions:
            # how few they are would tell of single rows
            exceptions = max(exceptions, profile.k)
            few = f"fewer than {profile.k}" if exceptions == profile.k else str(exceptions)
            findings.append(Finding(where, f"{spell(found.rule)}: holds in all rows but {few}, and is not enforced"))
        kept.append(replace(found, exceptions=exceptions or 0))
    return replace(profile, rules=tuple(kept), findings=tuple(findings))
