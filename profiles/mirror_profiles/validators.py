"""Numbers that prove themselves: whether a column's values pass a validator more often than chance would let them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from math import log
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mirror_profiles.meanings import IDENTIFYING, Meaning, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_VALUES = 100
_FEWEST_VALUES = 6
_CORRECT = 0.97
"""Share of values that pass where the column is what the validator is for: the rest are errors."""
_SOME_DIGITS = r"^[0-9A-Za-z ./+-]*[0-9]([0-9A-Za-z ./+-]*[0-9]){3}[0-9A-Za-z ./+-]*$"
_COMMON = 0.05
"""Share of chance values beyond which a validator knows a check digit of a common kind, and little else."""
_ENOUGH = 12.0
"""Log-likelihood ratio from which chance is ruled out, though there are a hundred validators to err."""

# python-stdnum's module, meaning, locale, share of chance values that pass, and the forms that are tried: # a digit,
# ? a capital, * either, _ a space, other signs themselves.
_TABLE = """
us.ssn national_id en_US 0.90 ###-##-####
us.itin national_id en_US 0.30 9##-##-####
gb.nhs national_id en_GB 0.10 ########## ###_###_#### ###-###-####
ca.sin national_id en_CA 0.10 ######### ###-###-### ###_###_###
au.tfn national_id en_AU 0.10 ######### ###_###_###
au.abn tax_id en_AU 0.02 ########### ##_###_###_###
in_.aadhaar national_id en_IN 0.09 ############ ####_####_####
in_.pan tax_id en_IN 0.42 ?????####?
in_.gstin tax_id en_IN 0.01 ##?????####?***
de.idnr national_id de_DE 0.01 ########### ##_###_###_###
de.vat tax_id de_DE 0.10 ######### DE#########
at.uid tax_id de_AT 0.12 ATU######## U########
at.vnr national_id de_AT 0.09 ########## ####_######
ch.ssn national_id de_CH 0.11 756########## 756.####.####.##
ch.uid tax_id de_CH 0.11 CHE######### CHE-###.###.###
fr.nir national_id fr_FR 0.02 ############### #_##_##_##_###_###_## #############_##
fr.siren tax_id fr_FR 0.10 ######### ###_###_###
fr.siret tax_id fr_FR 0.02 ############## ###_###_###_#####
fr.tva tax_id fr_FR 0.03 FR########### FR_##_#########
es.dni national_id es_ES 0.06 ########? ########-?
es.nie national_id es_ES 0.06 X#######? Y#######? Z#######?
es.cif tax_id es_ES 0.10 ?######## ?#######?
mx.curp national_id es_MX 0.01 ????########???????# ????######????????## ????######??????*#
mx.rfc tax_id es_MX 0.05 ????######*** ???######***
it.codicefiscale national_id it_IT 0.02 ??????##?##?###?
it.iva tax_id it_IT 0.02 ########### IT###########
br.cpf national_id pt_BR 0.02 ########### ###.###.###-##
br.cnpj tax_id pt_BR 0.02 ############## ##.###.###/####-##
pt.nif tax_id pt_PT 0.11 ######### PT#########
nl.bsn national_id nl_NL 0.10 ######### ########
nl.btw tax_id nl_NL 0.12 NL#########B## #########B##
be.nn national_id nl_BE 0.02 ########### ##.##.##-###.## ######-###-##
be.vat tax_id nl_BE 0.03 BE0######### 0######### BE1######### BE_0###.###.### 0###.###.###
se.personnummer national_id sv_SE 0.02 ######-#### ######+#### ########-#### ########## ############
se.orgnr tax_id sv_SE 0.115 ######-#### ##########
se.vat tax_id sv_SE 0.10 SE##########01
dk.cpr national_id da_DK 0.05 ######-####  ##########
dk.cvr tax_id da_DK 0.11 ######## DK########
fi.hetu national_id fi_FI 0.01 ######-###* ######+###* ######A###*
fi.alv tax_id fi_FI 0.11 FI########
fi.ytunnus tax_id fi_FI 0.11 #######-# ########
no.fodselsnummer national_id no_NO 0.01 ########### ######_#####
no.orgnr tax_id no_NO 0.11 ######### ###_###_###
pl.pesel national_id pl_PL 0.02 ###########
pl.nip tax_id pl_PL 0.11 ########## ###-###-##-## PL##########
pl.regon tax_id pl_PL 0.12 ######### ##############
cz.rc national_id cs_CZ 0.16 ##########  ######/#### #########
cz.dic tax_id cs_CZ 0.12 ######## CZ########
cz.bankaccount bank_account cs_CZ 0.02 ##########/#### ######-##########/####
sk.dph tax_id sk_SK 0.06 ########## SK##########
tr.tckimlik national_id tr_TR 0.02 ###########
tr.vkn tax_id tr_TR 0.12 ##########
hu.anum tax_id hu_HU 0.125 ######## HU########
ro.cnp national_id ro_RO 0.01 #############
ro.cui tax_id ro_RO 0.12 ######## RO########
bg.egn national_id bg_BG 0.02 ##########
hr.oib national_id hr_HR 0.12 ###########
si.emso national_id sl_SI 0.01 #############
ee.ik national_id et_EE 0.02 ###########
gr.amka national_id el_GR 0.02 ###########
gr.vat tax_id el_GR 0.12 ######### EL#########
ie.pps national_id en_IE 0.10 #######? #######??
ie.vat tax_id en_IE 0.10 IE#######? IE#?#####?
za.idnr national_id zu_ZA 0.02 #############
kr.rrn national_id ko_KR 0.01 ######-#######
cn.ric national_id zh_CN 0.01 ##################
il.idnr national_id he_IL 0.11 #########
ar.cuit tax_id es_AR 0.03 ###########  ##-########-#
cl.rut national_id es_CL 0.11 ########-# ##.###.###-#
is_.kennitala national_id en_US 0.02 ######-####
eu.vat tax_id en_US 0.05 ??######### ??########### ??U########
iban iban en_US 0.02
luhn card_number en_US 0.11 4############### 5############### 2############### 34############# 37#############
 6############### 4############ 30############ 36############ 38############ 35############## 4##################
 18############# 21############# 5########### 6###########
ean ean en_US 0.11 ############# 0############# 1############# 8#######
isbn isbn en_US 0.11 978########## 979########## 978-#-##-######-# 978-#-###-#####-# 978-#-####-####-#
 978-#-#####-###-# 978-#-######-##-# ########## #########X #-##-######-# #-###-#####-# #-####-####-# #-#####-###-#
 #-######-##-# #-##-######-X #-###-#####-X #-####-####-X #-#####-###-X
imei imei en_US 0.11 ###############
"""


@dataclass(frozen=True, slots=True)
class Validator:
    """A validator of one kind of number."""

    module: str
    meaning: Meaning
    locale: str | None
    false_accept: float
    """At most this share of chance values of its forms pass."""
    forms: tuple[str, ...]
    lengths: frozenset[int]
    """How many characters values have."""
    pattern: str
    """What values look like, as a regular expression."""

    @property
    def accepts(self) -> Callable[[str], bool]:
        """What says whether one value is valid."""
        valid: Callable[[str], bool] = import_module(f"stdnum.{self.module}").is_valid

        def accepts(value: str) -> bool:
            try:
                return valid(value)
            except (LookupError, ValueError):  # of values that the library's own lists do not foresee
                return False

        return accepts


_SIGNS = {"#": "[0-9]", "?": "[A-Za-z]", "*": "[0-9A-Za-z]", "_": " "}


@cache
def validators() -> tuple[Validator, ...]:
    """Return all validators but that of telephone numbers."""
    found = []
    for line in _TABLE.replace("\n ", " ").strip().splitlines():
        module, meaning, locale, share, *forms = line.split()
        national = locale if "." in module else None
        if module == "iban":
            forms = ["??##" + "*" * size for size in range(11, 31)]
        spelled = ("".join(_SIGNS.get(sign, re.escape(sign)) for sign in form) for form in forms)
        lengths, pattern = frozenset(map(len, forms)), f"^({'|'.join(spelled)})$"
        found.append(Validator(module, Meaning(meaning), national, float(share), tuple(forms), lengths, pattern))
    return tuple(found)


def ratio(passed: int, tried: int, false_accept: float) -> float:
    """Return the log-likelihood ratio of so many values passing, the column being what is validated against chance."""
    return passed * log(_CORRECT / false_accept) + (tried - passed) * log((1 - _CORRECT) / (1 - false_accept))


def _spread(values: pa.Array, most: int) -> list[str]:
    """Return at most so many of the values, from all over them."""
    step = max(len(values) // most, 1)
    found: list[str] = values.take(pa.array(range(0, len(values), step)[:most])).to_pylist()
    return found


def share_of_start(values: Sequence[str], size: int) -> float:
    """Return the share of values that begin with the commonest first characters."""
    return max(Counter(value[:size] for value in values).values()) / len(values)


def numbered(values: pa.Array, *, counted: bool = False) -> Reading | None:
    """Say which numbers distinct values are; None where no validator lets pass more than chance explains.

    Judged by the likelihood ratio of the share that passes, over a hundred values or all there are, never by one value.
    ``counted`` says that the column's name is that of an order, an invoice or another thing that is counted: those
    have check digits of the common kinds too, so these prove nothing of them.
    """
    if len(values) < _FEWEST_VALUES:
        return None
    some = _spread(values, _MOST_VALUES)
    digits = pc.sum(pc.match_substring_regex(pa.array(some), _SOME_DIGITS)).as_py()
    if digits < 0.9 * len(some):
        return None
    lengths = {len(one) for one in some} | {len(one.replace(" ", "").replace("-", "")) for one in some}
    bare = pa.array([re.sub(r"[ -]", "", one) for one in some], pa.string())
    text = pa.array(some, pa.string())
    best, found = _ENOUGH, None
    for one in validators():
        if lengths.isdisjoint(one.lengths):
            continue
        if counted and one.false_accept > _COMMON and one.meaning in IDENTIFYING:
            continue
        tried = bare if one.module in ("iban", "luhn") else text
        if pc.sum(pc.match_substring_regex(tried, one.pattern)).as_py() < 0.9 * len(some):
            continue
        passed = _passed(one, some)
        if passed < 0.8 * len(some):
            continue
        odds = ratio(passed, len(some), one.false_accept)
        if odds > best:
            best, found = odds, one
    if found is None:
        return None
    reason = f"values pass the validator of {_SPOKEN.get(found.module, found.module)}, which chance would not"
    return Reading(found.meaning, 0.9 if best < 2 * _ENOUGH else 0.97, reason, found.locale)


_SPOKEN = {"iban": "IBANs", "luhn": "payment cards", "ean": "EANs", "isbn": "ISBNs", "imei": "IMEIs"}


def _passed(validator: Validator, values: list[str]) -> int:
    """Count the values that pass; give up where the first ones do not."""
    accepts, passed = validator.accepts, 0
    for tried, value in enumerate(values, start=1):
        passed += accepts(value)
        if tried in (8, 25) and passed < 0.6 * tried:
            return passed
    return passed


# --- Telephone numbers ------------------------------------------------------------------------------------------------

# Region, locale, share of chance values that pass, and what its numbers look like without their separators.
_REGIONS = (
    ("US", "en_US", 0.40, r"^(\+?1)?[2-9]\d{9}$"),
    ("GB", "en_GB", 0.36, r"^(\+44|0)\d{9,10}$"),
    ("DE", "de_DE", 0.80, r"^(\+49|0)\d{7,12}$"),
    ("AT", "de_AT", 0.80, r"^(\+43|0)\d{7,12}$"),
    ("CH", "de_CH", 0.45, r"^(\+41|0)\d{9}$"),
    ("FR", "fr_FR", 0.60, r"^(\+33|0)[1-9]\d{8}$"),
    ("ES", "es_ES", 0.40, r"^(\+34)?[6-9]\d{8}$"),
    ("IT", "it_IT", 0.60, r"^(\+39)?[03]\d{7,10}$"),
    ("NL", "nl_NL", 0.55, r"^(\+31|0)\d{9}$"),
    ("BE", "nl_BE", 0.55, r"^(\+32|0)\d{8,9}$"),
    ("PT", "pt_PT", 0.40, r"^(\+351)?[239]\d{8}$"),
    ("BR", "pt_BR", 0.55, r"^(\+?55|0)?\d{10,11}$"),
    ("PL", "pl_PL", 0.60, r"^(\+48)?\d{9}$"),
    ("SE", "sv_SE", 0.45, r"^(\+46|0)\d{7,9}$"),
    ("DK", "da_DK", 0.70, r"^(\+45)?[2-9]\d{7}$"),
    ("NO", "no_NO", 0.60, r"^(\+47)?[2-9]\d{7}$"),
    ("FI", "fi_FI", 0.60, r"^(\+358|0)\d{6,10}$"),
    ("CZ", "cs_CZ", 0.45, r"^(\+420)?[2-7]\d{8}$"),
    ("TR", "tr_TR", 0.40, r"^(\+?90|0)?[2-5]\d{9}$"),
    ("HU", "hu_HU", 0.55, r"^(\+36|06)\d{8,9}$"),
    ("RO", "ro_RO", 0.45, r"^(\+40|0)[237]\d{8}$"),
    ("AU", "en_AU", 0.55, r"^(\+61|0)\d{9}$"),
    ("IN", "en_IN", 0.60, r"^(\+?91|0)?[6-9]\d{9}$"),
    ("MX", "es_MX", 0.55, r"^(\+52)?\d{10}$"),
)


def dialled(values: pa.Array) -> Reading | None:
    """Say whether distinct values are telephone numbers of one region, by the same measure as `numbered`."""
    import phonenumbers

    some = _spread(values, 60)
    if share_of_start(some, 2) > 0.8 and not some[0].startswith(("+", "0", "(")):
        return None  # a counter
    bare = pa.array([re.sub(r"[ ()./-]", "", one) for one in some], pa.string())
    best, found = _ENOUGH, ""
    for region, locale, share, pattern in _REGIONS:
        if pc.sum(pc.match_substring_regex(bare, pattern)).as_py() < 0.95 * len(some):
            continue
        passed = 0
        for tried, value in enumerate(some, start=1):
            try:
                passed += phonenumbers.is_valid_number(phonenumbers.parse(value, region))
            except phonenumbers.NumberParseException:
                continue
            if tried in (8, 25) and passed < 0.8 * tried:
                break
        odds = ratio(passed, len(some), share)
        if odds > best:
            best, found = odds, locale
    if not found:
        return None
    return Reading(Meaning.PHONE, 0.85, "values pass the validator of telephone numbers", found)
