"""Rows whose foreign key finds no parent: kept at their share in the source, or each given one, as the configuration says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mirror_connectors.schema import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.config import Config
    from mirror_profiles.profile import Profile


def as_wanted(profile: Profile, config: Config) -> Profile:
    """Return the profile with the orphans that the mirror is to have: the source's share of them, or none."""
    if config.run.orphans == "keep":
        return profile
    return replace(profile, fan_outs=tuple(replace(one, orphans=0.0) for one in profile.fan_outs))


def told(profile: Profile) -> Iterator[Finding]:
    """Say of each foreign key and link how many of the mirror's rows find no parent, and of CHECKs that they hold where the source's do not."""
    for key in profile.schema.foreign_keys:
        found = profile.fan_out(str(key))
        if found is not None and found.orphans:
            what = f'{found.orphans:.1%} of the rows find no parent, as in the source; orphans = "clean" under [run] gives them one'
            yield Finding(str(key), what)
    for relation in profile.schema:
        for check in relation.checks:
            if not check.validated:
                what = (
                    "is not validated in the source, whose older rows may break it; every row of the mirror passes it"
                )
                yield Finding(f"{relation.name} check {check.name or check.expression}", what)
