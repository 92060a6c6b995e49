"""A search for a place among 10,000 names in English and Mandarin, said in a sentence; a part of `ivr bench loading`.

The names are put together from parts of real ones, so that many share their syllables; a row says how often the place
that was named came first, as it is written and with one syllable or letter of it misheard. Time is that of one
processor core, whatever else the machine does.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ivr.bench.report import Report, percentile
from ivr.dialog.plan_file import load
from ivr.understanding import sounds
from ivr.understanding.places import Place, Places

NAMES = 10_000
LIMIT_MS = 15.0

_FIRST_ZH = [*"东西南北新大小上下金白红龙凤玉石青", "北京"]
_MIDDLE_ZH = (
    "城河山桥门湖塘泉井塔寺沙林花梅松竹柳杨荷安和平宁昌盛丰华兴福德仁义文武学光明景春"
    "夏秋水云月星天海江州阳泽溪岗坡岭屯营庄村"
)
_LAST_ZH = (
    "",
    "",
    "路",
    "公园",
    "广场",
    "医院",
    "大厦",
    "火车站",
    "购物中心",
    "大学",
    "机场",
    "体育馆",
    "小区",
    "博物馆",
)
_HEARD_ZH = (
    "是在有人这个不我们来到时地大为子中说生国年着就那和要她出也得里后自以会家可下过天去能对小多然于心学么"
    "之都好看起发当没成只如事把还用第样道想作种开美总从无情己面最女但现前些所同日手又行意动方期它头经长儿"
    "回位分爱老因很给名法间斯知世什两次使身者被高已亲其进此话常与活正感"
)
_NEAR = 0.3
_FIRST_EN = (
    "ash", "black", "brad", "burn", "clay", "cran", "dun", "east", "fair", "glen", "hart", "high", "holm", "king",
    "lang", "lin", "mar", "mid", "nor", "oak", "pem", "red", "rock", "sal", "shep", "stan", "sut", "thorn", "wal",
    "win",
)  # fmt: skip
_MIDDLE_EN = (
    "bor",
    "brook",
    "bury",
    "den",
    "field",
    "ford",
    "ham",
    "hill",
    "ley",
    "mere",
    "more",
    "ton",
    "well",
    "wick",
)
_LAST_EN = (
    "", "park", "road", "square", "station", "hospital", "market", "bridge", "church", "gardens", "hall", "school",
    "common", "green", "library", "museum", "stadium", "tower", "cross", "gate", "lane", "mill", "wharf", "heights",
)  # fmt: skip
_PLAN = """plan: many
languages: [en, zh]
start: which
slots:
  place: {kind: place, places: many.places.yaml}
steps:
  which: {kind: ask, slot: place, prompt: {en: "Near which place?", zh: "在哪个地方附近？"}, next: end}
"""
_SENTENCES = {"en": "is there a branch near {} please", "zh": "请问{}附近有没有你们的网点"}


def names_in(language: str, chance: random.Random) -> Iterator[str]:
    """Names without end, some of them twice."""
    while True:
        if language == "zh":
            middle = "".join(chance.sample(_MIDDLE_ZH, chance.choice((1, 2, 2, 3))))
            yield chance.choice(_FIRST_ZH) + middle + chance.choice(_LAST_ZH)
        else:
            yield f"{chance.choice(_FIRST_EN)}{chance.choice(_MIDDLE_EN)} {chance.choice(_LAST_EN)}".strip()


def gazetteer(count: int, seed: int) -> Places:
    """So many places, each with one name of its own in each language."""
    names: dict[str, list[str]] = {}
    for language in _SENTENCES:
        chance, found = random.Random(seed), dict[str, None]()  # noqa: S311 - no secret
        for name in names_in(language, chance):
            found[name] = None
            if len(found) == count:
                break
        names[language] = list(found)
    return Places([
        Place(str(i), {"en": (en,), "zh": (zh,)})
        for i, (en, zh) in enumerate(zip(names["en"], names["zh"], strict=True))
    ])  # fmt: skip


def misheard(name: str, language: str, chance: random.Random) -> str:
    """The name with a letter taken for another, or a syllable for one that sounds nearly like it."""
    if language == "en":
        at = chance.randrange(len(name.split()[0]))
        return name[:at] + chance.choice("aeioulnrst") + name[at + 1 :]
    at = chance.randrange(len(name))
    near = [c for c in _HEARD_ZH if 0 < sounds.apart(*sounds.syllables(name[at] + c)) <= _NEAR]
    return name[:at] + chance.choice(near or [name[at]]) + name[at + 1 :]


def read_from_a_file(report: Report, places: Places) -> Places:
    """The same places, written to a plan's file of places and read with the plan."""
    with tempfile.TemporaryDirectory(prefix="ivr-bench-") as folder:
        lines = (
            f"  - {{id: '{entry.id}', " + ", ".join(f'{key}: "{name[0]}"' for key, name in entry.names.items()) + "}\n"
            for entry in places.entries
        )
        (Path(folder) / "many.places.yaml").write_text("places:\n" + "".join(lines), "utf-8")
        file = Path(folder) / "many.yaml"
        file.write_text(_PLAN, "utf-8")
        begun = time.thread_time()
        read = load(file).slots["place"].places
        report.row(f"a plan with {NAMES:,} places, read and checked", "", f"{time.thread_time() - begun:.1f} s")
    assert read is not None
    return read


def measure(report: Report) -> None:
    """Both languages: time of a search, and whether it found what was named."""
    places = read_from_a_file(report, gazetteer(NAMES, report.seed))
    chance = random.Random(report.seed)  # noqa: S311 - no secret
    for language, sentence in _SENTENCES.items():
        places.find([(sentence.format(""), 1.0)], language)
        asked = chance.sample(places.entries, 20 if report.quick else 200)
        took_ms: list[float] = []
        right = {"as written": 0, "misheard": 0}
        for entry in asked:
            name = entry.names[language][0]
            for how, said in (("as written", name), ("misheard", misheard(name, language, chance))):
                begun = time.thread_time()
                found = places.find([(sentence.format(said), 1.0)], language)
                took_ms.append(1e3 * (time.thread_time() - begun))
                right[how] += entry.id in [match.id for match in found]
        p95 = percentile(took_ms, 95)
        report.row(f"a place among {NAMES:,} names, {language}", f"p95 <= {LIMIT_MS:g} ms",
                   f"p50 {percentile(took_ms, 50):.1f} ms, p95 {p95:.1f} ms (n {len(took_ms)})",
                   p95 <= LIMIT_MS)  # fmt: skip
        shares = ", ".join(f"{how} {100 * n / len(asked):.0f} %" for how, n in right.items())
        report.row(f"the place named is among the three found, {language}", "", shares)
