"""What SHOW GRANTS says that an account of MariaDB or MySQL may do."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?:TABLE )?(?P<base>\*|`[^`]*`)\.(?P<table>\*|`[^`]*`) TO ", re.DOTALL)
_COLUMNS = re.compile(r"\([^)]*\)")
_WRITING = frozenset({"ALL PRIVILEGES", "INSERT", "UPDATE", "DELETE", "DROP", "ALTER", "CREATE"})


def writes(grants: Iterable[str], database: str, tables: Collection[str]) -> bool:
    r"""Say whether one of the lines of SHOW GRANTS lets its account change one of a database's tables.

    >>> writes(["GRANT SELECT ON *.* TO `a`@`%`", "GRANT SELECT, UPDATE (x) ON `sh\\_p`.* TO `a`@`%`"], "sh_p", ["t"])
    True
    """
    return any(_writes(found, database, tables) for line in grants if (found := _GRANT.match(line)))


def _writes(found: re.Match[str], database: str, tables: Collection[str]) -> bool:
    rights = {right.strip().upper() for right in _COLUMNS.sub("", found["rights"]).split(",")}
    table = found["table"].strip("`")
    # a database's name is a pattern, in which _ and % stand for others unless a backslash is before them
    pattern = re.sub(r"(?<!\\)%", "*", found["base"].strip("`"))
    pattern = re.sub(r"(?<!\\)_", "?", pattern).replace("\\", "")
    return bool(rights & _WRITING) and fnmatchcase(database, pattern) and (table == "*" or table in tables)
