"""Places found by sound, alone and inside a sentence, among rivals."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.bench import gazetteer
from ivr.understanding import sounds
from ivr.understanding.places import Place, Places

NAMES = {
    "birds_nest": (("鸟巢", "国家体育场"), ("Bird's Nest", "National Stadium")),
    "xidan": (("西单",), ("Xidan",)),
    "dongdan": (("东单",), ("Dongdan",)),
    "xisi": (("西四",), ("Xisi",)),
    "wangfujing": (("王府井",), ("Wangfujing",)),
    "south_station": (("北京南站",), ("Beijing South Railway Station", "South Station")),
    "west_station": (("北京西站",), ("Beijing West Railway Station", "West Station")),
    "zhongguancun": (("中关村",), ("Zhongguancun",)),
    "sanlitun": (("三里屯",), ("Sanlitun",)),
    "liulitun": (("六里屯",), ("Liulitun",)),
    "summer_palace": (("颐和园",), ("Summer Palace",)),
    "old_summer_palace": (("圆明园",), ("Old Summer Palace",)),
    "guomao": (("国贸",), ("Guomao", "China World Trade Centre")),
    "tiananmen": (("天安门", "天安门广场"), ("Tiananmen", "Tiananmen Square")),
    "dianmen": (("地安门",), ("Di'anmen",)),
    "sun_residence": (("上海孙中山故居纪念馆", "孙中山故居"), ("Sun Yat-sen's Former Residence",)),
    "wangjing": (("望京",), ("Wangjing",)),
    "airport": (("首都机场",), ("Capital Airport",)),
    "theatre": (("首都剧场",), ("Capital Theatre",)),
    "temple": (("天坛", "天坛公园"), ("Temple of Heaven",)),
    "earth": (("地坛", "地坛公园"), ("Temple of Earth",)),
    "chaoyang": (("朝阳公园",), ("Chaoyang Park",)),
    "jingshan": (("景山公园",), ("Jingshan Park",)),
    "century": (("世纪公园",), ("Century Park",)),
}
PLACES = Places([Place(id_, {"zh": zh, "en": en}) for id_, (zh, en) in NAMES.items()])


def found(text: str, language: str) -> list[str]:
    return [m.id for m in PLACES.find([(text, 0.9)], language)]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("鸟巢", "birds_nest"),
        ("我需要查询鸟巢附近的银行网点", "birds_nest"),
        ("请问西单附近有没有你们的网点", "xidan"),
        ("王府井附近的营业厅在哪里", "wangfujing"),
        ("离北京南站最近的支行是哪一家", "south_station"),
        ("中关村那边的银行几点开门", "zhongguancun"),
        ("帮我找一下三里屯附近的取款机", "sanlitun"),
        ("颐和园旁边有网点吗", "summer_palace"),
        ("我在国贸，最近的网点怎么走", "guomao"),
        ("天安门附近的银行", "tiananmen"),
        ("上海孙中山故居纪念馆附近有没有网点", "sun_residence"),
        ("我想知道望京的支行地址", "wangjing"),
        ("首都机场里面有你们银行吗", "airport"),
        ("天坛公园", "temple"),
        ("国家体育场", "birds_nest"),
        # As a recogniser wrote what was said.
        ("我需要查醒鳥朝附近的銀行望点", "birds_nest"),
        ("请问西当副计有没有你们的网点", "xidan"),
        ("王父井附近的营业听在哪里", "wangfujing"),
        ("李北京门站最近的執行是哪一家", "south_station"),
        ("中官村那边的银行几点开门", "zhongguancun"),
        ("帮我找一下三里图附近的尺款机", "sanlitun"),
        ("伊河園旁边有网店吗", "summer_palace"),
        ("一和人", "summer_palace"),
        ("先安门附近的银行", "tiananmen"),
        ("貼安门附近的銀行", "tiananmen"),
        ("手督机厂里面有你们银行吗", "airport"),
        ("手多机场", "airport"),
        ("上海三中山古局经验馆", "sun_residence"),
        ("上海分中山谷基纪念馆附近有没有网点", "sun_residence"),
        ("司机公园", "century"),
    ],
)
def test_a_place_in_mandarin(text, place):
    """Written right or by its sound."""
    assert found(text, "zh")[:1] == [place]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("wangfujing", "wangfujing"),
        ("near wong foo jing please", "wangfujing"),
        ("is there a branch near the bird's nest", "birds_nest"),
        ("the birds nets", "birds_nest"),
        ("the temple of heaven", "temple"),
        ("I am at the summer palace", "summer_palace"),
        ("the old summer palace", "old_summer_palace"),
        ("capital airport", "airport"),
        ("where is the nearest bank to Xidan?", "xidan"),
        ("Beijing South Railway Station", "south_station"),
        ("the south station", "south_station"),
        ("Tiananmen Square", "tiananmen"),
        ("san lee tune", "sanlitun"),
        ("next to chaoyang park", "chaoyang"),
        ("the china world trade center", "guomao"),
    ],
)
def test_a_place_in_english(text, place):
    """As spelt, or as an ear for English spells it."""
    assert found(text, "en")[:1] == [place]


@pytest.mark.parametrize(
    ("text", "language"),
    [("我不太确定", "zh"), ("请再说一遍", "zh"), ("今天天气怎么样", "zh"), ("我的银行卡丢了", "zh"), ("转人工", "zh"),
     ("三千五百元", "zh"), ("", "zh"), ("？！", "zh"), ("what are your opening hours", "en"), ("i lost my card", "en"),
     ("can you repeat that please", "en"), ("transfer money to my savings account", "en"), ("", "en"), ("😀", "en"),
     ("西单", "ko")],
)  # fmt: skip
def test_no_place(text, language):
    """What names none finds none; nor does a language that has no index."""
    assert found(text, language) == []


def test_names_that_sound_alike_come_as_rivals():
    """Half way between 天坛 and 地坛 nobody knows."""
    assert set(found("点坛", "zh")) >= {"temple", "earth"}


def test_a_later_reading_finds_what_the_best_one_hides():
    """As with questions."""
    readings = [("往附近附近的营业厅", 0.7), ("王府井附近的营业厅", 0.6)]
    assert PLACES.find(readings, "zh")[0].id == "wangfujing"


def test_the_words_that_name_it_are_told():
    """So that they can be said back."""
    assert PLACES.find([("请问西单附近有没有网点", 0.9)], "zh")[0].text == "西单"
    assert PLACES.find([("near the temple of heaven please", 0.9)], "en")[0].text == "temple of heaven"


def test_nothing_is_found_where_there_is_nothing():
    """An empty list, and entries without a name in the language."""
    assert Places(()).find([("西单", 1.0)], "zh") == ()
    assert Places([Place("x", {"en": ("Somewhere",)})]).find([("西单", 1.0)], "zh") == ()
    assert PLACES.find([], "zh") == ()


@pytest.mark.parametrize(
    ("near", "far", "least", "most"),
    [
        ("xin", "xing", 0.0, 0.15),
        ("shan", "san", 0.0, 0.15),
        ("niu", "liu", 0.0, 0.2),
        ("fu", "hu", 0.0, 0.2),
        ("du", "duo", 0.0, 0.35),
        ("tian", "xian", 0.2, 0.5),
        ("xi", "dong", 0.6, 1.0),
        ("ma", "qing", 0.6, 1.0),
    ],
)
def test_how_far_syllables_are_apart(near, far, least, most):
    """Symmetric; small for what recognisers mix up."""
    assert least <= sounds.apart(near, far) <= most
    assert sounds.apart(near, far) == sounds.apart(far, near)
    assert sounds.apart(near, near) == 0.0


@pytest.mark.parametrize(("a", "b"), [("wang", "wong"), ("center", "centre"), ("phone", "fone"), ("knight", "nite")])
def test_english_words_of_like_sound_share_a_key(a, b):
    """However they are spelt."""
    assert sounds.key_of(a) == sounds.key_of(b)


@given(st.text(max_size=300), st.sampled_from(["en", "zh", "ko"]))
def test_any_text_is_searched_without_error(text, language):
    """Scores are in 0..1, best of few."""
    matches = PLACES.find([(text, 0.5), (text[::-1], 0.1)], language)
    assert len(matches) <= 3
    assert all(0 <= m.score <= 1 for m in matches)


@pytest.mark.parametrize("text", ["好" * 10_000, "西单" * 5_000, "a " * 5_000, "西" + "a" * 9_999])
def test_long_texts_are_bounded(text):
    """Only the beginning of what nobody says in one breath is searched."""
    for language in ("zh", "en"):
        assert len(PLACES.find([(text, 0.9)], language)) <= 3


def test_what_names_a_place_is_quoted_as_it_was_said():
    """An apostrophe is no part of the comparison, but of the words."""
    said = "is there a branch near the bird's nest"
    assert PLACES.find([(said, 0.9)], "en")[0].text == "bird's nest"


@pytest.mark.parametrize(
    ("language", "said"), [("zh", "请问{}附近有没有你们的网点"), ("en", "is there a branch near {}")]
)
def test_a_long_list_hides_no_name(language, said):
    """Among two thousand names that share their syllables every one is found, alone and in a sentence."""
    places = gazetteer.gazetteer(2_000, seed=7)
    for entry in places.entries[::100]:
        name = entry.names[language][0]
        for text in (name, said.format(name)):
            assert (entry.id, 1.0) in [(m.id, m.score) for m in places.find([(text, 1.0)], language)]


def test_a_name_misheard_is_found_in_a_long_list():
    """A syllable off, among two thousand, whatever its length."""
    places = gazetteer.gazetteer(2_000, seed=7)
    chance = random.Random(7)
    found = 0
    for entry in places.entries[::100]:
        said = f"请问{gazetteer.misheard(entry.names['zh'][0], 'zh', chance)}附近"
        found += entry.id in [match.id for match in places.find([(said, 1.0)], "zh")]
    assert found >= 18
