"""How figures are said: a table a language, then anything at all."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.speech.spoken import faults, say, written

ENGLISH = [
    ("{money:1234.50 USD}", "one thousand two hundred thirty-four dollars and fifty cents"),
    ("{money:1234.50}", "one thousand two hundred thirty-four dollars and fifty cents"),
    ("{money:1234.50 CNY}", "one thousand two hundred thirty-four point five yuan"),
    ("{money:1 USD}", "one dollar"),
    ("{money:0.01 USD}", "one cent"),
    ("{money:GBP 2.01}", "two pounds and one penny"),
    ("{money:-3.20 EUR}", "minus three euros and twenty cents"),
    ("{money:1000000 JPY}", "one million yen"),
    ("{digits:8620}", "eight six two zero"),
    ("{digits:95588}", "nine five five eight eight"),
    ("{digits:622202108620}", "six two two two, zero two one zero, eight six two zero"),
    ("{digits:12 34}", "one two, three four"),
    ("{date:2026-03-12}", "March twelfth, twenty twenty-six"),
    ("{date:2005-01-01}", "January first, two thousand five"),
    ("{date:1905-12-31}", "December thirty-first, nineteen oh five"),
    ("{date:03-12}", "March twelfth"),
    ("{date:2026-03}", "March twenty twenty-six"),
    ("{time:14:30}", "two thirty p m"),
    ("{time:09:05}", "nine oh five a m"),
    ("{time:00:00}", "midnight"),
    ("{time:12:00}", "noon"),
    ("{time:23:00}", "eleven p m"),
    ("{phone:+12125550100}", "two one two, five five five, zero one zero zero"),
    ("{phone:+8613800138000}", "plus eight six, one three eight, zero zero one three, eight zero zero zero"),
    ("{number:1234.5}", "one thousand two hundred thirty-four point five"),
    ("{number:-7}", "minus seven"),
    ("{ordinal:21}", "twenty-first"),
    ("{percent:3.5}", "three point five percent"),
    ("{spell:AB12}", "A, B, one, two"),
    ("Pay {money:5 USD}by {date:2026-03-12}.", "Pay five dollars by March twelfth, twenty twenty-six."),
    ("Your balance is $1,234.50.", "Your balance is one thousand two hundred thirty-four dollars and fifty cents."),
    ("$0.05, $1, $1.01", "five cents, one dollar, one dollar and one cent"),
    ("$3.5 million", "three point five million dollars"),
    ("100 CNY or EUR 20", "one hundred yuan or twenty euros"),
    ("2 dollars", "two dollars"),
    ("on 2026-03-12 at 14:30", "on March twelfth, twenty twenty-six at two thirty p m"),
    ("3/12/2026", "March twelfth, twenty twenty-six"),
    ("March 12, 2026", "March twelfth, twenty twenty-six"),
    ("the 3rd of March", "the third of March"),
    ("Jan. 5 at 10:30 pm", "January fifth at ten thirty p m"),
    ("9am to 5 p.m.", "nine a m to five p m"),
    ("9:00-17:00", "nine o'clock to five p m"),
    ("a card ending in 8620", "a card ending in eight six two zero"),
    ("card ****8620", "card ending in eight six two zero"),
    ("call 555-0100", "call five five five, zero one zero zero"),
    ("3.5% to 4%", "three point five percent to four percent"),
    ("1,000,000", "one million"),
    ("007", "zero zero seven"),
    ("1234567890123456", "one two three four, five six seven eight, nine zero one two, three four five six"),
    ("In 2026", "In twenty twenty-six"),
    ("2026 people", "two thousand twenty-six people"),
    ("the 15th floor", "the fifteenth floor"),
    ("No. 5", "number five"),
    ("5-10 items", "five to ten items"),
    ("-5 degrees", "minus five degrees"),
    ("24/7", "twenty-four seven"),
    ("1/2", "one half"),
    ("5G", "five G"),
    ("version 2.15.1", "version two dot fifteen dot one"),
    ("www.bank.com", "w w w dot bank dot com"),
    ("help@bank.com", "help at bank dot com"),
    ("A & B + C", "A and B plus C"),
    ("**Thank you** 😀", "Thank you"),
]
MANDARIN = [
    ("{money:3500 CNY}", "三千五百元"),
    ("{money:289.5}", "两百八十九块五毛"),
    ("{money:1234.56}", "一千二百三十四块五毛六分"),
    ("{money:102.05}", "一百零二块零五分"),
    ("{money:0.5}", "五毛"),
    ("{money:0.05}", "五分"),
    ("{money:2}", "两元"),
    ("{money:2.20}", "两块两毛"),
    ("{money:20000}", "两万元"),
    ("{money:200000000}", "两亿元"),
    ("{money:120.50 USD}", "一百二十美元五十美分"),
    ("{money:-15}", "负十五元"),
    ("{digits:8620}", "八六二零"),
    ("{digits:622202108620}", "六二二二，零二一零，八六二零"),
    ("{date:2026-03-12}", "二零二六年三月十二日"),
    ("{date:02-02}", "二月二日"),
    ("{date:2026-10}", "二零二六年十月"),
    ("{time:14:30}", "下午两点半"),
    ("{time:02:05}", "凌晨两点零五分"),
    ("{time:00:00}", "凌晨零点"),
    ("{time:12:00}", "中午十二点"),
    ("{time:19:15}", "晚上七点十五分"),
    ("{time:09:00}", "上午九点"),
    ("{phone:+8613800138000}", "幺三八，零零幺三，八零零零"),
    ("{phone:010-62551234}", "零幺零，六二五五，幺二三四"),
    ("{phone:+442079460018}", "加四四，二零，七九四六，零零幺八"),
    ("{number:12}", "十二"),
    ("{number:1012}", "一千零一十二"),
    ("{number:2200}", "两千二百"),
    ("{number:22002}", "两万两千零二"),
    ("{number:202}", "两百零二"),
    ("{number:220000}", "二十二万"),
    ("{number:-2.5}", "负二点五"),
    ("{percent:12.5}", "百分之十二点五"),
    ("{ordinal:2}", "第二"),
    ("{spell:AB12}", "A B 一 二"),
    ("余额是¥3,500.00元。", "余额是三千五百元。"),
    ("共289.50元", "共两百八十九块五毛"),
    ("3.5万元", "三点五万元"),
    ("USD 100", "一百美元"),
    ("２元５０％", "两元百分之五十"),
    ("2026年3月12日14:30", "二零二六年三月十二日下午两点半"),
    ("2026-03-12", "二零二六年三月十二日"),
    ("3月5号", "三月五号"),
    ("下午2:30", "下午两点半"),
    ("9:00-17:00", "九点到下午五点"),
    ("尾号8620的卡", "尾号八六二零的卡"),
    ("验证码123456", "验证码一二三，四五六"),
    ("电话13800138000", "电话幺三八，零零幺三，八零零零"),
    ("请拨打95511", "请拨打九五五幺幺"),
    ("400-800-8888", "四零零，八零零，八八八八"),
    ("利率3.5%", "利率百分之三点五"),
    ("3-5个工作日", "三到五个工作日"),
    ("2个 2张 2位 2天", "两个 两张 两位 两天"),
    ("2号 2楼 第2", "二号 二楼 第二"),
    ("2点", "两点"),
    ("7×24小时", "七乘二十四小时"),
    ("12路公交", "十二路公交"),
    ("请按1", "请按一"),
    ("1/2", "二分之一"),
    ("-5度", "负五度"),
    ("您的 VIP 卡", "您的 VIP 卡"),
]
KOREAN = [
    ("{digits:8620}", "팔 육 이 공"),
    ("{money:3500}", "삼천오백 원"),
    ("5,000원", "오천 원"),
    ("{date:2026-06-12}", "이천이십육 년 유월 십이일"),
    ("14:30", "오후 두 시 반"),
    ("{percent:3.5}", "삼 점 오 퍼센트"),
    ("010-1234-5678", "공 일 공, 일 이 삼 사, 오 육 칠 팔"),
]
CASES = [(lang, *case) for lang, cases in (("en", ENGLISH), ("zh", MANDARIN), ("ko", KOREAN)) for case in cases]


@pytest.mark.parametrize(("language", "text", "said"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_a_figure_is_said_as_people_say_it(language, text, said):
    assert say(text, language) == said


@pytest.mark.parametrize("text", [said for _, _, said in CASES if re.fullmatch(r"[\w ,，.。'-]+", said)])
def test_words_are_left_alone(text):
    for language in ("en", "zh"):
        assert say(text, language) == text


@pytest.mark.parametrize(
    ("text", "language", "shown"),
    [
        ("You owe {money:1234.5 USD}.", "en", "You owe $1,234.50."),
        ("{money:1234.50}", "zh", "¥1,234.50"),
        ("{date:2026-03-12}", "en", "March 12, 2026"),
        ("{date:2026-03-12}", "zh", "2026年3月12日"),
        ("{date:03-12}", "zh", "3月12日"),
        ("{phone:+8613800138000}", "zh", "138 0013 8000"),
        ("{percent:3.5}", "en", "3.5%"),
        ("{time:14:30}", "zh", "14:30"),
        ("{money:lots}", "en", "lots"),
        ("3 {braces}", "en", "3 {braces}"),
    ],
)
def test_the_record_shows_the_usual_notation(text, language, shown):
    assert written(text, language) == shown


@pytest.mark.parametrize(
    "text",
    ["{mony:5}", "{money:five}", "{money:5 DOLLARS}", "{date:2026-02-30}", "{date:2026}", "{time:25:00}",
     "{digits:12a}", "{phone:now}", "{number:1e99}", "{number:NaN}", "{ordinal:-1}", "{spell:!}", "{percent:x}"],
)  # fmt: skip
def test_a_wrong_value_is_named_and_still_said(text):
    (fault,) = faults(text)
    assert fault.startswith(text)
    assert "{" not in say(text, "en")


def test_right_values_have_no_faults():
    assert faults("".join(text for _, text, _ in CASES if text.startswith("{"))) == ()


FIGURES = st.text("0123456789.,:-/%$¥+*x年月日点分元万亿第个号{}[]()apm @&#\n零二，。", max_size=60)


@settings(max_examples=300, deadline=None)
@given(FIGURES | st.text(max_size=60), st.sampled_from(["en", "zh", "ko", "xx"]))
def test_anything_is_said_without_an_error_or_a_figure(text, language):
    said = say(text, language)
    assert not re.search("[0-9]", said)
    written(text, language)
    faults(text)


@pytest.mark.timeout(20)  # seconds; quadratic work on these would take far longer
@pytest.mark.parametrize(
    "unit", ["1", "1,", "1-", "$1", "a.", "www.", "a@", "2026-", "{money:", "1月", "第1", "** ", "字"]
)
@pytest.mark.parametrize("language", ["en", "zh", "ko"])
def test_long_texts_end(unit, language):
    text = (unit * 20_000)[:20_000]
    assert isinstance(say(text, language), str)
