"""The job: plan, synthesize, load, compare and refresh the mirror of one or more databases."""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirror.api import (
        CheckResult,
        InitResult,
        Step,
        check,
        compare,
        demo,
        discover,
        init,
        inspect,
        plan,
        privacy,
        profile,
        run,
        runs,
        sample,
        watch,
    )
    from mirror.card import Card
    from mirror.catalog.records import BusyError, Outcome, RunRecord
    from mirror.config import Config
    from mirror.config import load as load_config
    from mirror.discover.model import Discoveries
    from mirror.plan import Plan
    from mirror.refresh import DriftError
    from mirror.report.model import Report
    from mirror_connectors.errors import MirrorError
    from mirror_connectors.schema import RelationName, Schema
    from mirror_profiles.profile import Profile

__all__ = [
    "BusyError",
    "Card",
    "CheckResult",
    "Config",
    "Discoveries",
    "DriftError",
    "InitResult",
    "MirrorError",
    "Outcome",
    "Plan",
    "Profile",
    "RelationName",
    "Report",
    "RunRecord",
    "Schema",
    "Step",
    "check",
    "compare",
    "demo",
    "discover",
    "init",
    "inspect",
    "load_config",
    "plan",
    "privacy",
    "profile",
    "run",
    "runs",
    "sample",
    "watch",
]

_PLACES = {
    "BusyError": "mirror.catalog.records",
    "Card": "mirror.card",
    "Config": "mirror.config",
    "Discoveries": "mirror.discover.model",
    "DriftError": "mirror.refresh",
    "MirrorError": "mirror_connectors.errors",
    "Outcome": "mirror.catalog.records",
    "Plan": "mirror.plan",
    "Profile": "mirror_profiles.profile",
    "RelationName": "mirror_connectors.schema",
    "Report": "mirror.report.model",
    "RunRecord": "mirror.catalog.records",
    "load_config": "mirror.config",
    "Schema": "mirror_connectors.schema",
}


# A type checker would take any name for one of ours.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:  # noqa: ANN401
        if name not in __all__:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        module = import_module(_PLACES.get(name, "mirror.api"))
        found = getattr(module, "load" if name == "load_config" else name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Some verbs have the name of the module that does their work: ``mirror.plan`` is the verb, whatever was imported.

    ``from mirror.plan import ...`` still finds the module.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, ModuleType) and name in __all__:
            return
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
