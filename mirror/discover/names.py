"""What the names of a column and of a relation say about whether the one refers to the other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


KEY_WORDS = _set("id ids key no nr num nbr number code cd ref uid uuid guid oid pk fk sk identifier idx abbr")
"""Words by which a name says that the column identifies something."""
LABEL_WORDS = _set("name title description desc label comment note text value caption summary remark")
"""Words for what people read: such a column may be unique, and is still seldom anybody's key."""
MEASURE_WORDS = _set("""
    amount average balance count cost day depth discount distance duration end height hour latitude length level
    limit longitude max min minute month percent percentage population position price quantity qty rank rate ratio
    score second sequence size start stop sum total unit version weight width year age sort priority strand
    strength phase flag is has
    """)
"""Words for what is counted, measured or ordered: such numbers lie inside many a key's range by accident."""
_SELF_WORDS = _set("""
    parent super ancestor predecessor successor previous prev next root manager boss supervisor mentor leader
    original master mother father spouse sire dam reply origin replaced replacement duplicate sibling twin
    übergeordnet vorgesetzt padre pere jefe chef
    """)
"""Words for a row's relatives of its own kind."""
_ROLE_WORDS = _set("""
    agent approver assignee assistant author buyer clerk creator created editor manager modified operator owner rep
    representative responsible reviewer salesman sale salesperson seller supervisor updated report boss technician
    driver advisor adviser handler host requester recruiter
    """)
"""Words for what a person does in a row."""
_PEOPLE = _set("user employee staff person people account member contact worker personnel agent mitarbeiter")
"""Words for relations of people who do such things."""
_LINKING = frozenset({"by", "to", "via"})
"""Prepositions at the end of a reference's name: `created_by`, `reports_to`, `ship_via`."""
_JOINTS = _set("of by to via in at for from the and a an")
_IRREGULAR = {
    "people": "person",
    "children": "child",
    "men": "man",
    "women": "woman",
    "mice": "mouse",
    "feet": "foot",
    "indices": "index",
    "matrices": "matrix",
    "vertices": "vertex",
    "criteria": "criterion",
    "phenomena": "phenomenon",
    "analyses": "analysis",
    "bases": "basis",
    "movies": "movie",
    "cookies": "cookie",
    "series": "series",
    "species": "species",
    "news": "news",
}
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-zß-öø-ÿ]+|[A-Z]+|[^\W\d_A-Za-z]+|\d+")
_GLUED_KEY = re.compile(r"(\w{4,}?)(guid|uuid|id|code|key|num)")
_GLUED_ID = re.compile(r"(?<=[a-z])ID(?=[a-z])")


@cache
def words(name: str) -> tuple[str, ...]:
    """Split a name into lower-case words in the singular; what marks a key is split off where it is glued on.

    >>> words("BillingAddressID"), words("order_details"), words("teamIDwinner"), words("countrycode")
    (('billing', 'address', 'id'), ('order', 'detail'), ('team', 'id', 'winner'), ('country', 'code'))
    """
    found = _WORD.findall(_GLUED_ID.sub("_id_", name))
    parts = [_singular(word.lower()) for word in found]
    if parts and (glued := _GLUED_KEY.fullmatch(parts[-1])):
        parts[-1:] = [_singular(glued[1]), glued[2]]
    return tuple(parts)


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word.removesuffix("s")


@cache
def stem(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Take away the words that only say that this is a key, at either end.

    >>> stem(("customer", "id")), stem(("fk", "customer")), stem(("ship", "via")), stem(("id",))
    (('customer',), ('customer',), ('ship',), ())
    """
    first, last = 0, len(parts)
    while last > first and (parts[last - 1] in KEY_WORDS or (parts[last - 1] in _LINKING and last > first + 1)):
        last -= 1
    while first < last and parts[first] in KEY_WORDS:
        first += 1
    return parts[first:last]


def is_keyish(name: str) -> bool:
    """Say whether a name has a word that marks keys, or ends in the preposition of one (``ship_via``, ``created_by``)."""
    parts = words(name)
    return bool(KEY_WORDS & set(parts)) or (len(parts) > 1 and parts[-1] in _LINKING)


def is_label(name: str) -> bool:
    """Say whether a name is that of something to read."""
    parts = words(name)
    return bool(parts) and (parts[-1] in LABEL_WORDS or (parts[0] in LABEL_WORDS and parts[-1] not in KEY_WORDS))


def is_measure(name: str) -> bool:
    """Say whether a name is that of something counted, measured or ordered, and has no word that marks keys."""
    parts = words(name)
    return bool(MEASURE_WORDS & set(parts)) and not (KEY_WORDS - {"no", "num", "number"}) & set(parts)


def is_role(name: str) -> bool:
    """Say whether a column's name is that of what a person does in a row."""
    return bool(_ROLE_WORDS & set(words(name)))


def is_of_people(relation: str) -> bool:
    """Say whether a relation's name is that of people who do such things."""
    return bool(_PEOPLE & set(words(relation)))


def abbreviates(short: str, long: str) -> bool:
    """Say whether one word is short for another: a beginning, or its letters in order from the first on.

    >>> abbreviates("emp", "employee"), abbreviates("dept", "department"), abbreviates("or", "order")
    (True, True, False)
    """
    if not 3 <= len(short) <= 6 or not len(short) < len(long) <= 14 or short[0] != long[0]:
        return False
    if long.startswith(short):
        return True
    # Letters left out are vowels as a rule, and the abbreviation must not be a word of about the same length.
    rest = iter(long)
    return len(short) * 2 <= len(long) + 1 and all(letter in rest for letter in short)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well a child's name fits a parent, from 0 to 1, and in what way."""

    share: float
    how: str


NOTHING = Agreement(0.0, "the names have nothing in common")


@lru_cache(maxsize=100_000)
def agreement(column: str, relation: str, key: str, *, own: bool) -> Agreement:
    """Say how much the name ``column`` sounds like a reference to ``key`` of ``relation``; ``own`` when that is its own relation.

    >>> agreement("billing_address_id", "addresses", "id", own=False).share > 0.8
    True
    >>> agreement("quantity", "addresses", "id", own=False).share
    0.0
    """
    bare = stem(words(column))
    if own and bare and (_same(bare, words(relation)) or bare == stem(words(key))):
        return NOTHING  # it is the row's own name
    return max(
        (
            *_after_key(words(column), words(key), words(relation)),
            *_after_relation(words(column), words(key), words(relation)),
            *_after_role(words(column), words(relation), own=own),
        ),
        key=lambda one: one.share,
        default=NOTHING,
    )


def names_other(key: str, relation: str, others: Collection[tuple[str, ...]]) -> bool:
    """Say whether a column is named after another relation, ``others`` being the words of all of them.

    >>> names_other("region_id", "territory_region", {("region",), ("territory", "region")})
    True
    """
    bare, whole = stem(words(key)), words(relation)
    if not bare or _same(bare, whole) or _short(bare, whole):
        return False
    return any(other != whole and (_same(bare, other) or _short(bare, other)) for other in others)


def names_own(key: str, relation: str, *, whole: bool = False) -> bool:
    """Say whether a column is named after its own relation: ``customer.customer_id``, ``employees.emp_no``, ``region.id``.

    The end of the relation's name will do (``sales_order.order_id``), unless ``whole``.

    >>> names_own("emp_no", "employees"), names_own("id", "orders"), names_own("track_id", "invoice_line")
    (True, True, False)
    """
    bare, mine = stem(words(key)), words(relation)
    if not bare:
        return bool(words(key))
    if _same(bare, mine) or _short(bare, mine):
        return True
    return not whole and len(bare) < len(mine) and bare == mine[-len(bare) :]


def _after_key(child: tuple[str, ...], key: tuple[str, ...], relation: tuple[str, ...]) -> list[Agreement]:
    """The child carries the name of the parent's key, as far as that is a name of its own and not just `id`."""
    bare = stem(key)
    if not bare or not child:
        return []
    home = _same(bare, relation) or _short(bare, relation) or bare == relation[-len(bare) :]
    # A name that does not come from the parent's relation may be its key's all the same (playerID of a relation
    # Master). A name for reading or measuring is everybody's.
    weight = 1.0 if home else 0.85
    if not KEY_WORDS & set(key) and not home:
        weight = 0.4 if set(key) & (LABEL_WORDS | MEASURE_WORDS) else 0.65
    found: list[Agreement] = []
    mine = stem(child)
    if child == key or "".join(child) == "".join(key):
        found.append(Agreement(weight, "it has the name of the key"))
    elif child[-len(key) :] == key:
        found.append(Agreement(0.95 * weight, "its name ends in that of the key"))
    elif child[: len(key)] == key:
        found.append(Agreement(0.85 * weight, "its name begins with that of the key"))
    elif mine == bare:
        found.append(Agreement(0.9 * weight, "it is named after the key"))
    elif mine[-len(bare) :] == bare and KEY_WORDS & set(child):
        found.append(Agreement(0.8 * weight, "its name ends in that of the key"))
    return found


def _after_relation(child: tuple[str, ...], key: tuple[str, ...], relation: tuple[str, ...]) -> list[Agreement]:
    """The child carries the name of the parent's relation."""
    mine = stem(child)
    if not mine or not relation:
        return []
    found: list[Agreement] = []
    marked = bool(KEY_WORDS & set(child)) or child[-1] in _LINKING
    if _same(mine, relation):
        found.append(Agreement(1.0 if marked or len(key) == 1 else 0.9, "it is named after the relation"))
    if len(mine) == 1:
        found += _after_glued(mine[0], "".join(relation), marked=marked)
    if len(mine) > len(relation) and mine[-len(relation) :] == relation:
        found.append(Agreement(0.92 if marked else 0.7, "its name ends in that of the relation"))
    if len(mine) > len(relation) and mine[: len(relation)] == relation:
        found.append(Agreement(0.7 if marked else 0.35, "its name begins with that of the relation"))
    if len(mine) < len(relation) and relation[-len(mine) :] == mine:
        found.append(Agreement(0.75 if marked else 0.5, "it is named after the end of the relation's name"))
    if len(mine) < len(relation) and relation[: len(mine)] == mine:
        found.append(Agreement(0.6 if marked else 0.3, "it is named after the beginning of the relation's name"))
    if _short(mine, relation):
        found.append(Agreement(0.75 if marked else 0.55, "its name is short for that of the relation"))
    if len(mine) > len(relation) and _short(mine[-len(relation) :], relation):
        found.append(Agreement(0.7 if marked else 0.4, "its name ends in a short form of the relation's"))
    if not found:
        found += _after_word(mine, relation, marked=marked)
    return found


def _after_word(mine: tuple[str, ...], relation: tuple[str, ...], *, marked: bool) -> list[Agreement]:
    """They share a word, whole or short: little, but something."""
    content = [word for word in mine if word not in _JOINTS and word not in LABEL_WORDS | MEASURE_WORDS]
    head = relation[-1]
    if content and content[-1] == head:
        return [Agreement(0.55 if marked else 0.35, "its name ends in a word of the relation's")]
    if set(content) & set(relation):
        return [Agreement(0.35 if marked else 0.25, "its name has a word of the relation's")]
    if any(len(word) >= 4 and abbreviates(word, other) for word in content for other in relation):
        return [Agreement(0.35, "its name has a word that is short for one of the relation's")]
    return []


def _after_role(child: tuple[str, ...], relation: tuple[str, ...], *, own: bool) -> list[Agreement]:
    """The child is named after what the other row is to this one."""
    mine = set(stem(child))
    found = []
    if own and ((mine & _SELF_WORDS and not mine & MEASURE_WORDS) or {"report", "to"} <= set(child)):
        found.append(Agreement(0.85, "its name is that of a relative of the same kind"))
    if mine & _ROLE_WORDS and set(relation) & _PEOPLE:
        marked = KEY_WORDS & set(child) or child[-1] in _LINKING or len(child) == 1
        found.append(Agreement(0.65 if marked else 0.4, "its name is that of a role, and the relation holds people"))
    return found


def _same(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    return left == right or "".join(left) == "".join(right)


def _short(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Say whether every word is the other's, or short for it, at least once short."""
    return (
        len(left) == len(right)
        and left != right
        and all(mine == other or abbreviates(mine, other) for mine, other in zip(left, right, strict=True))
    )


def _after_glued(mine: str, relation: str, *, marked: bool) -> list[Agreement]:
    """The child's name is several words written as one: ``homecountry_id``, ``userownerid``."""
    if len(relation) < 4 or mine == relation:
        return []
    if mine.endswith(relation):
        return [Agreement(0.75 if marked else 0.4, "its name ends in that of the relation")]
    if mine.startswith(relation):
        return [Agreement(0.55 if marked else 0.25, "its name begins with that of the relation")]
    return []
