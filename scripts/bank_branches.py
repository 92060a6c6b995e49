"""Where the bank has branches, which is nearest, and when it is open, in English and Mandarin.

Names, numbers in addresses and hours are made up. Pure: knows nothing of HTTP, of places' names or of what day it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Literal

Language = Literal["en", "zh"]

NEAR_M = 5_000
"""A branch further away than this is not near."""

_EARTH_RADIUS_M = 6_371_009  # mean radius, IUGG
_WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh": ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"),
}

Position = tuple[float, float]  # latitude and longitude in degrees
Hours = tuple[str, str] | None  # opens and closes on a 24-hour clock, or closed
Week = tuple[Hours, ...]  # from Monday

OFFICE: Week = (("9:00", "17:00"),) * 5 + (None, None)
SATURDAYS: Week = (("9:00", "17:00"),) * 5 + (("9:30", "16:00"), None)
DAILY: Week = (("9:00", "17:00"),) * 5 + (("9:30", "16:00"),) * 2
MALL: Week = (("10:00", "19:00"),) * 7
STATION: Week = (("7:30", "20:30"),) * 7


@dataclass(frozen=True)
class Branch:
    """One branch; `week` are its opening hours from Monday to Sunday."""

    zh: str
    zh_address: str
    en: str
    en_address: str
    at: Position
    week: Week

    def name(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en

    def address(self, language: Language) -> str:
        return self.zh_address if language == "zh" else self.en_address


# fmt: off
BRANCHES = (
    # Beijing
    Branch("奥体支行", "北辰东路15号", "Olympic Park Branch", "15 Beichen East Road", (39.9905, 116.4010), DAILY),
    Branch("亚运村支行", "慧忠路8号", "Asian Games Village Branch", "8 Huizhong Road", (39.9901, 116.4121), SATURDAYS),
    Branch("天安门支行", "前门东大街3号", "Tiananmen Branch", "3 Qianmen East Street", (39.9003, 116.4021), OFFICE),
    Branch("前门支行", "前门大街66号", "Qianmen Branch", "66 Qianmen Street", (39.8968, 116.3981), DAILY),
    Branch("西单支行", "西单北大街110号", "Xidan Branch", "110 Xidan North Street", (39.9102, 116.3738), MALL),
    Branch("金融街支行", "金融大街22号", "Financial Street Branch", "22 Financial Street", (39.9160, 116.3609), OFFICE),
    Branch("西四支行", "西四南大街41号", "Xisi Branch", "41 Xisi South Street", (39.9222, 116.3736), SATURDAYS),
    Branch("王府井支行", "王府井大街138号", "Wangfujing Branch", "138 Wangfujing Street", (39.9142, 116.4115), MALL),
    Branch("东单支行", "东单北大街9号", "Dongdan Branch", "9 Dongdan North Street", (39.9120, 116.4181), SATURDAYS),
    Branch("东四支行", "东四南大街77号", "Dongsi Branch", "77 Dongsi South Street", (39.9231, 116.4180), OFFICE),
    Branch("崇文门支行", "崇文门外大街5号", "Chongwenmen Branch", "5 Chongwenmen Outer Street",
           (39.8981, 116.4180), SATURDAYS),
    Branch("鼓楼支行", "鼓楼东大街52号", "Drum Tower Branch", "52 Gulou East Street", (39.9405, 116.4010), OFFICE),
    Branch("雍和宫支行", "雍和宫大街28号", "Lama Temple Branch", "28 Yonghegong Street", (39.9455, 116.4170), OFFICE),
    Branch("东直门支行", "东直门外大街48号", "Dongzhimen Branch", "48 Dongzhimen Outer Street",
           (39.9411, 116.4366), DAILY),
    Branch("三里屯支行", "三里屯路19号", "Sanlitun Branch", "19 Sanlitun Road", (39.9351, 116.4541), MALL),
    Branch("朝阳门支行", "朝阳门外大街18号", "Chaoyangmen Branch", "18 Chaoyangmen Outer Street",
           (39.9240, 116.4390), OFFICE),
    Branch("国贸支行", "建国门外大街1号", "Guomao Branch", "1 Jianguomen Outer Street", (39.9093, 116.4586), DAILY),
    Branch("大望路支行", "建国路93号", "Dawanglu Branch", "93 Jianguo Road", (39.9078, 116.4772), OFFICE),
    Branch("双井支行", "东三环中路55号", "Shuangjing Branch", "55 Third Ring Middle Road East",
           (39.8940, 116.4612), SATURDAYS),
    Branch("六里屯支行", "甜水园街6号", "Liulitun Branch", "6 Tianshuiyuan Street", (39.9318, 116.4831), OFFICE),
    Branch("朝阳公园支行", "朝阳公园路3号", "Chaoyang Park Branch", "3 Chaoyang Park Road", (39.9462, 116.4743), DAILY),
    Branch("望京支行", "望京街9号", "Wangjing Branch", "9 Wangjing Street", (39.9968, 116.4706), DAILY),
    Branch("酒仙桥支行", "酒仙桥路10号", "Jiuxianqiao Branch", "10 Jiuxianqiao Road", (39.9722, 116.4902), OFFICE),
    Branch("首都机场支行", "首都机场三号航站楼", "Capital Airport Branch", "Capital Airport, Terminal 3",
           (40.0745, 116.6082), STATION),
    Branch("北京站支行", "北京站街甲13号", "Beijing Station Branch", "13 Beijing Station Street",
           (39.9045, 116.4268), STATION),
    Branch("北京南站支行", "永外大街12号", "Beijing South Station Branch", "12 Yongwai Street",
           (39.8661, 116.3802), STATION),
    Branch("北京西站支行", "莲花池东路118号", "Beijing West Station Branch", "118 Lianhuachi East Road",
           (39.8955, 116.3238), STATION),
    Branch("公主坟支行", "复兴路33号", "Gongzhufen Branch", "33 Fuxing Road", (39.9080, 116.3110), SATURDAYS),
    Branch("三里河支行", "三里河路9号", "Sanlihe Branch", "9 Sanlihe Road", (39.9121, 116.3311), OFFICE),
    Branch("西直门支行", "西直门外大街1号", "Xizhimen Branch", "1 Xizhimen Outer Street", (39.9411, 116.3540), DAILY),
    Branch("中关村支行", "中关村大街27号", "Zhongguancun Branch", "27 Zhongguancun Street", (39.9818, 116.3169), DAILY),
    Branch("海淀支行", "丹棱街16号", "Haidian Branch", "16 Danling Street", (39.9792, 116.3101), OFFICE),
    Branch("五道口支行", "成府路28号", "Wudaokou Branch", "28 Chengfu Road", (39.9924, 116.3391), SATURDAYS),
    Branch("颐和园支行", "颐和园路2号", "Summer Palace Branch", "2 Yiheyuan Road", (40.0002, 116.2871), SATURDAYS),
    Branch("上地支行", "信息路26号", "Shangdi Branch", "26 Xinxi Road", (40.0340, 116.3118), OFFICE),
    Branch("回龙观支行", "回龙观西大街88号", "Huilongguan Branch", "88 Huilongguan West Street",
           (40.0731, 116.3330), SATURDAYS),
    Branch("石景山支行", "石景山路31号", "Shijingshan Branch", "31 Shijingshan Road", (39.9072, 116.2219), OFFICE),
    Branch("方庄支行", "蒲芳路15号", "Fangzhuang Branch", "15 Pufang Road", (39.8655, 116.4351), OFFICE),
    Branch("丰台支行", "科兴路7号", "Fengtai Branch", "7 Kexing Road", (39.8270, 116.2940), OFFICE),
    Branch("亦庄支行", "荣华中路10号", "Yizhuang Branch", "10 Ronghua Middle Road", (39.7972, 116.5040), OFFICE),
    Branch("通州支行", "新华大街60号", "Tongzhou Branch", "60 Xinhua Street", (39.9043, 116.6451), SATURDAYS),
    # Shanghai
    Branch("外滩支行", "中山东一路23号", "Bund Branch", "23 Zhongshan East First Road", (31.2388, 121.4893), DAILY),
    Branch("南京东路支行", "南京东路299号", "East Nanjing Road Branch", "299 East Nanjing Road",
           (31.2367, 121.4812), MALL),
    Branch("人民广场支行", "西藏中路268号", "People's Square Branch", "268 Middle Xizang Road",
           (31.2318, 121.4771), DAILY),
    Branch("豫园支行", "方浜中路200号", "Yu Garden Branch", "200 Middle Fangbang Road", (31.2260, 121.4912), OFFICE),
    Branch("淮海路支行", "淮海中路887号", "Huaihai Road Branch", "887 Middle Huaihai Road", (31.2179, 121.4612), MALL),
    Branch("思南路支行", "思南路44号", "Sinan Road Branch", "44 Sinan Road", (31.2168, 121.4680), OFFICE),
    Branch("静安支行", "南京西路1618号", "Jing'an Branch", "1618 West Nanjing Road", (31.2240, 121.4470), DAILY),
    Branch("徐家汇支行", "虹桥路1号", "Xujiahui Branch", "1 Hongqiao Road", (31.1945, 121.4371), MALL),
    Branch("龙华支行", "龙腾大道2600号", "Longhua Branch", "2600 Longteng Avenue", (31.1672, 121.4622), OFFICE),
    Branch("天山支行", "天山路789号", "Tianshan Branch", "789 Tianshan Road", (31.2101, 121.4041), SATURDAYS),
    Branch("虹桥支行", "虹桥火车站西出口", "Hongqiao Branch", "Hongqiao Railway Station, west exit",
           (31.1945, 121.3190), STATION),
    Branch("陆家嘴支行", "世纪大道100号", "Lujiazui Branch", "100 Century Avenue", (31.2360, 121.5061), OFFICE),
    Branch("潍坊路支行", "潍坊路158号", "Weifang Road Branch", "158 Weifang Road", (31.2230, 121.5205), SATURDAYS),
    Branch("世纪公园支行", "花木路1388号", "Century Park Branch", "1388 Huamu Road", (31.2110, 121.5530), SATURDAYS),
    Branch("五角场支行", "淞沪路77号", "Wujiaochang Branch", "77 Songhu Road", (31.3010, 121.5145), MALL),
    Branch("虹口支行", "四川北路1688号", "Hongkou Branch", "1688 North Sichuan Road", (31.2601, 121.4812), OFFICE),
    Branch("南翔支行", "德华路180号", "Nanxiang Branch", "180 Dehua Road", (31.2960, 121.3180), SATURDAYS),
    Branch("嘉定支行", "城中路66号", "Jiading Branch", "66 Chengzhong Road", (31.3801, 121.2490), SATURDAYS),
    Branch("浦东机场支行", "浦东机场二号航站楼", "Pudong Airport Branch", "Pudong Airport, Terminal 2",
           (31.1505, 121.8061), STATION),
)
# fmt: on


def nearest(at: Position) -> list[tuple[int, Branch]]:
    """The branches within NEAR_M of `at` with their distances in metres, nearest first."""
    found = [(round(_great_circle_m(at, branch.at)), branch) for branch in BRANCHES]
    return sorted((pair for pair in found if pair[0] <= NEAR_M), key=lambda pair: pair[0])


def _great_circle_m(one: Position, other: Position) -> float:
    """By the haversine formula, on a sphere."""
    (lat1, lon1), (lat2, lon2) = (map(math.radians, position) for position in (one, other))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_RADIUS_M * math.asin(math.sqrt(half))


def say_distance(metres: int, language: Language) -> str:
    """Rounded as people say it: to 50 metres, from a kilometre on to 100."""
    rounded = max(50, round(metres / 50) * 50)
    if rounded < 1_000:
        return f"{rounded}米" if language == "zh" else f"{rounded} metres"
    km = f"{metres / 1_000:.1f}".removesuffix(".0")
    if language == "zh":
        return f"{km}公里"
    return f"{km} kilometre" + ("" if km == "1" else "s")


def say_hours(week: Week, day: date, language: Language) -> str:
    """Whether it is open on `day`, and when; else when it opens next."""
    today = day.weekday()
    ahead, (opens, closes) = next((n, hours) for n in range(7) if (hours := week[(today + n) % 7]))
    names = _WEEKDAYS[language]
    now, then = names[today], names[(today + ahead) % 7]
    if language == "zh":
        return f"今天{now}" + (f"不营业，{then}" if ahead else "，") + f"{opens}到{closes}营业"
    if ahead:
        return f"closed today, {now}; open on {then} from {opens} to {closes}"
    return f"open today, {now}, from {opens} to {closes}"
