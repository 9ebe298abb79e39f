"""Which language values are written in, and which one a country writes."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCRIPTS: tuple[tuple[str, str], ...] = (
    # the first whose letters enough values contain; letters of one language stand before the script it shares
    ("uk_UA", "[ґєіїҐЄІЇ]"),
    ("ru_RU", r"\p{Cyrillic}"),
    ("el_GR", r"\p{Greek}"),
    ("ja_JP", r"\p{Hiragana}|\p{Katakana}|[県沢浜広藤栄桜辺]|丁目"),
    ("ko_KR", r"\p{Hangul}"),
    ("zh_TW", "[陳黃張劉楊趙吳鄭馮許蔣韓馬龍國華區號樓臺灣縣鄉鎮東業]"),
    ("zh_CN", r"\p{Han}"),
    ("fa_IR", "[پچژگکی]"),
    ("ar_SA", r"\p{Arabic}"),
    ("he_IL", r"\p{Hebrew}"),
    ("th_TH", r"\p{Thai}"),
    ("ka_GE", r"\p{Georgian}"),
    ("hy_AM", r"\p{Armenian}"),
    ("hi_IN", r"\p{Devanagari}"),
    ("bn_BD", r"\p{Bengali}"),
    ("ta_IN", r"\p{Tamil}"),
)

_LATIN: tuple[tuple[str, str, str], ...] = (
    # locale, its letters beyond ASCII, words that give it away in any case
    ("de_DE", "äöüß", r"\w*stra(ss|ß)e|und|der|das|nicht|herr|frau|\w*(weg|platz|gasse|allee) \d+|GmbH"),
    ("fr_FR", "àâæçéèêëîïôœùûüÿ", r"rue|avenue de|boulevard de|chemin de|de la|du|les|des|une|et|est|sarl"),
    ("es_ES", "áéíñóúü¿¡ºª", r"calle|avenida|plaza|callejón|glorieta|de los|de las|del|una|los|las|por|para"),
    ("pt_BR", "áâãàçéêíóôõúº", r"rua|travessa|dos|das|não|uma|com|para|ltda|vereda|alameda"),
    ("it_IT", "àèéìíòóù", r"via|piazza|viale|vicolo|contrada|strada|borgo|della|dello|degli|sono|una|s\.r\.l|s\.p\.a"),
    ("pl_PL", "ąćęłńóśźż", r"ul|ulica|aleja|pl|plac|nie|jest|oraz|sp\. z o\.o"),
    ("cs_CZ", "áčďéěíňóřšťúůýž", r"ulice|náměstí|třída|s\.r\.o|nebo|jsou"),
    ("sk_SK", "áäčďéíĺľňóôŕšťúýž", r"ulica|námestie|alebo|sú"),
    ("hu_HU", "áéíóöőúüű", r"utca|út|tér|körút|és|vagy|kft"),
    ("ro_RO", "ăâîșşțţ", r"strada|bulevardul|aleea|și|sau|este|nr"),
    ("tr_TR", "çğıöşüâîİ", r"sokak|sokağı|cadde|caddesi|mahallesi|ve|bir|için"),
    ("sv_SE", "åäöé", r"\w+(gatan|vägen)|och|inte|är"),
    ("da_DK", "æøåé", r"\w+(gade|vej)|og|ikke|aps"),
    ("no_NO", "æøåéòô", r"\w+(veien|gata)|og|ikke"),
    ("fi_FI", "äöå", r"\w+(katu|nen)|ja|oli"),
    ("nl_NL", "ëéèïöüêó", r"\w+(straat|laan|plein)|het|een|niet|van de[nr]?"),
    ("hr_HR", "čćđšž", r"ulica|trg|nije|ili|d\.o\.o"),
    ("lt_LT", "ąčęėįšųūž", r"gatvė|ir|yra"),
    ("lv_LV", "āčēģīķļņšūž", r"iela|un|ir"),
    ("et_EE", "äõöüšž", r"tänav|tee|ja"),
    ("vi_VN", "àáâãèéêìíòóôõùúýăđĩũơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ", r"đường|và|của|là"),
)
_LEAST_SHARE = 0.08
"""A language shows in at least this share of values; fewer are visitors."""


def locale_of(sample: pa.Array, *, k: int) -> str | None:
    """Guess a Faker locale from the characters and words of a text column's values.

    A guess is released only if at least ``k`` rows show it, and if it explains most of what is not plain English.
    None otherwise, which callers read as ``en_US``.

    >>> locale_of(pa.array(["Müller", "Weiß", "Jäger", "Schmidt"] * 10), k=10)
    'de_DE'
    """
    values = pc.drop_null(sample.storage if isinstance(sample, pa.ExtensionArray) else sample).cast(pa.string())
    total = len(values)
    if total < max(k, 1):
        return None
    # each value is looked at once, however many rows hold it
    seen = _Counted.of(values)
    foreign = seen.matching(r"[^\x00-\x7f]")
    least = max(k, 1, _LEAST_SHARE * total)
    if foreign.rows:
        for locale, letters in _SCRIPTS:
            if foreign.matching(letters).rows >= least:
                return locale
    return _latin(seen, foreign, least)


@dataclass(frozen=True, slots=True)
class _Counted:
    """Distinct values, and how many rows hold each."""

    values: pa.Array
    counts: pa.Array

    @classmethod
    def of(cls, values: pa.Array) -> _Counted:
        found = pc.value_counts(values)
        return cls(found.field("values"), found.field("counts"))

    @property
    def rows(self) -> int:
        return int(pc.sum(self.counts).as_py() or 0)

    def matching(self, pattern: str) -> _Counted:
        """Return those in which a pattern is found."""
        found = pc.match_substring_regex(self.values, pattern)
        return _Counted(self.values.filter(found), self.counts.filter(found))


def _latin(seen: _Counted, foreign: _Counted, least: float) -> str | None:
    """Choose the language whose letters explain the most values, words deciding between equals."""
    scores = np.zeros(len(_LATIN))
    rows = foreign.rows
    for i, (_, letters, words) in enumerate(_LATIN):
        known = letters + letters.upper()
        explained = rows - foreign.matching(f"[^\\x00-\\x7f{known}]").rows if rows else 0
        if rows >= least and explained < 0.85 * rows:
            continue
        worded = seen.matching(rf"(?i)(^|\W)({words})(\W|$)").rows
        if explained + worded < least or (explained < least and worded < 2 * least):
            continue
        scores[i] = explained + worded
    best = int(scores.argmax())
    return _LATIN[best][0] if scores[best] > 0 else None


_COUNTRIES = """
en_US US USA United States|United States of America|America
en_GB GB GBR United Kingdom|Great Britain|England|Scotland|Wales|UK|Northern Ireland
en_CA CA CAN Canada
en_AU AU AUS Australia
en_NZ NZ NZL New Zealand
en_IE IE IRL Ireland
en_IN IN IND India
en_PH PH PHL Philippines
de_DE DE DEU Germany|Deutschland|Allemagne|Alemania
de_AT AT AUT Austria|Österreich
de_CH CH CHE Switzerland|Schweiz|Suisse|Svizzera
fr_FR FR FRA France|Frankreich
nl_BE BE BEL Belgium|België|Belgique|Belgien
nl_NL NL NLD Netherlands|The Netherlands|Nederland|Holland
es_ES ES ESP Spain|España|Spanien
es_MX MX MEX Mexico|México
es_AR AR ARG Argentina
es_CL CL CHL Chile
es_CO CO COL Colombia
pt_PT PT PRT Portugal
pt_BR BR BRA Brazil|Brasil
it_IT IT ITA Italy|Italia|Italien
da_DK DK DNK Denmark|Danmark
sv_SE SE SWE Sweden|Sverige
no_NO NO NOR Norway|Norge
fi_FI FI FIN Finland|Suomi
pl_PL PL POL Poland|Polska|Polen
cs_CZ CZ CZE Czech Republic|Czechia|Česko
sk_SK SK SVK Slovakia|Slovensko
sl_SI SI SVN Slovenia
hr_HR HR HRV Croatia|Hrvatska
hu_HU HU HUN Hungary|Magyarország
ro_RO RO ROU Romania|România
bg_BG BG BGR Bulgaria
el_GR GR GRC Greece
mk_MK MK MKD North Macedonia|Macedonia
ru_RU RU RUS Russia|Russian Federation|Россия
uk_UA UA UKR Ukraine
ka_GE GE GEO Georgia
hy_AM AM ARM Armenia
az_AZ AZ AZE Azerbaijan
tr_TR TR TUR Turkey|Türkiye|Turkiye
he_IL IL ISR Israel
fa_IR IR IRN Iran|Iran, Islamic Republic of
ar_SA SA SAU Saudi Arabia
fr_DZ DZ DZA Algeria
bn_BD BD BGD Bangladesh
ne_NP NP NPL Nepal
id_ID ID IDN Indonesia
vi_VN VN VNM Vietnam|Viet Nam
th_TH TH THA Thailand
ja_JP JP JPN Japan|日本
ko_KR KR KOR South Korea|Korea, Republic of|Republic of Korea|Korea
zh_CN CN CHN China|中国
zh_TW TW TWN Taiwan|Taiwan, Province of China
zu_ZA ZA ZAF South Africa
"""


def _locales() -> Mapping[str, str]:
    table: dict[str, str] = {}
    for line in _COUNTRIES.strip().splitlines():
        locale, two, three, names = line.split(" ", 3)
        for name in (two, three, *names.split("|")):
            table[name] = table[name.casefold()] = locale
    return MappingProxyType(table)


LOCALES: Mapping[str, str] = _locales()
"""A country's name, ISO 3166 alpha-2 or alpha-3 code, as usually written or casefolded, to the Faker locale for it."""
