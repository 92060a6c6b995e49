"""The places of the bank example: well-formed, and hard enough to tell apart that matching them means something.

A syllable is one of toneless pinyin; a run of Latin letters or figures counts as one.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml
from pypinyin import lazy_pinyin

FILE = Path(__file__).parents[2] / "dialplans" / "bank.places.yaml"
PLACES = yaml.load(FILE.read_text("utf-8"), Loader=yaml.CSafeLoader)["places"]

# What callers have been recorded to say.
NAMED = (
    "鸟巢", "西单", "东单", "王府井", "北京南站", "中关村", "三里屯", "颐和园", "国贸", "天安门", "望京", "首都机场",
    "上海孙中山故居纪念馆", "哈根达斯", "九井日本料理", "老洋房花园饭店", "孔家花园", "尚街Loft时尚生活园区",
    "潍坊路小游园", "星巴克咖啡虹桥西航二店", "百盛天山店", "上海市第一食品商店", "盛源生活广场", "崇明岛",
    "孔乙己酒家", "东北饺子王", "西堤牛排新梅广场店", "三叶眼镜城", "渔具水族馆", "上海人家黄浦店", "瑞福园茂名店",
    "外滩名店", "绍兴饭店", "世纪公园三号门", "上海嘉定南翔寺", "龙耀滨江广场", "杭州大厦购物城超市",
    "I T番禺路店", "东方商厦嘉定店", "OPA淮海店", "丁香夏朵花园", "舒友海鲜大酒楼上海静安店",
)  # fmt: skip

Syllables = tuple[str, ...]


@cache
def syllables(name: str) -> Syllables:
    return tuple(part for token in lazy_pinyin(name) for part in re.findall(r"[a-z0-9]+", token.lower()))


def is_rival(one: Syllables, other: Syllables) -> bool:
    """Whether one syllable replaced, added or removed makes one the other."""
    if len(one) == len(other):
        return sum(a != b for a, b in zip(one, other, strict=True)) == 1
    short, long = sorted((one, other), key=len)
    return len(long) - len(short) == 1 and any(long[:i] + long[i + 1 :] == short for i in range(len(long)))


def names(place: dict, language: str) -> list[str]:
    return [place[language], *place.get("also", {}).get(language, [])]


def repeated(values) -> list:
    return [value for value, count in Counter(values).items() if count > 1]


def test_there_are_enough():
    assert len(PLACES) >= 300


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place["id"])
def test_a_place_is_well_formed(place):
    assert {"id", "zh", "en", "at"} <= place.keys() <= {"id", "zh", "en", "also", "at"}
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", place["id"])
    assert place.get("also", {}).keys() <= {"zh", "en"}
    for name in names(place, "zh"):
        assert re.search(r"[\u4e00-\u9fff]", name)
    for name in names(place, "en"):
        assert re.search(r"[A-Za-z]", name)
        assert not re.search(r"[\u3000-\u9fff]", name)
    for name in names(place, "zh") + names(place, "en"):
        assert name == name.strip()
    latitude, longitude = place["at"]
    assert (39.4 < latitude < 41.1 and 115.4 < longitude < 117.5) or (  # Beijing
        30.2 < latitude < 31.9 and 120.1 < longitude < 122.0  # Shanghai, Jiaxing, Hangzhou
    )


def test_ids_are_unique():
    assert repeated(place["id"] for place in PLACES) == []


def test_no_two_names_sound_alike():
    assert repeated(syllables(name) for place in PLACES for name in names(place, "zh")) == []


def test_no_two_english_names_are_the_same():
    assert repeated(name.casefold() for place in PLACES for name in names(place, "en")) == []


@pytest.mark.parametrize("name", NAMED)
def test_a_named_place_has_rivals(name):
    assert name in {place["zh"] for place in PLACES}
    rivals = [place["zh"] for place in PLACES if is_rival(syllables(place["zh"]), syllables(name))]
    assert len(rivals) >= 2, rivals


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("西单", "东单", True),
        ("望京", "望京西", True),
        ("天安门", "安门", True),
        ("孔家花园", "孔家花园", False),
        ("颐和园", "怡和园", False),
        ("西单", "东四", False),
        ("望京", "望京西北", False),
    ],
)
def test_a_rival_is_one_syllable_away(one, other, expected):
    assert is_rival(syllables(one), syllables(other)) is expected
