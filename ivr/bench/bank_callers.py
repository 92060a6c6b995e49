"""Who rings the bank in `ivr bench bank`: twenty callers a language, what each wants, says and takes for an answer.

A caller answers the question they are asked, by the step it stands in and its words, not by its place in the call:
whether a doubtful value is confirmed is the server's to decide. English is text for two voices; Mandarin is the text of
a recording of `zh_caller`. Pure: knows nothing of calls, voices or the server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SILENCE = ""
"""A reply of somebody who waits."""
KEYS = "#"
"""What a reply begins with that is keyed."""


@dataclass(frozen=True)
class Asked:
    """A question of the server: the step it stands in, its words, the language."""

    step: str
    words: str
    language: str


@dataclass(frozen=True)
class Script:
    """One caller.

    Attributes:
        task: what they want: branch, balance, lost_card, fees, hours, delivery, complaint, person.
        opens: what they say to an open question, one after the other; the last once more when it led nowhere.
        place: the id of the place they mean; `names` are what it is called where it is confirmed.
        customer, card, born: who they are at the bank: id, last four digits, ISO date; both said in `says`.
        says: replies by question, one after the other, the last again and again.
        mends: said at the first question after they have told the wrong thing.
        entry: the knowledge entry that answers a question.
        twist: what is odd about them, for the report.
    """

    name: str
    language: str
    task: str
    opens: tuple[str, ...]
    place: str = ""
    names: tuple[str, ...] = ()
    customer: str = ""
    card: str = ""
    born: str = ""
    says: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mends: str = ""
    entry: str = ""
    twist: str = ""


_ALWAYS = {
    "en": {"yes": ("Yes, please.", "Yes."), "no": ("No.", "No, that is wrong."), "bye": ("No, thank you. Goodbye.",)},
    "zh": {"yes": ("是的", "对"), "no": ("不对", "不是"), "bye": ("没有", "算了，不用了")},
}  # fmt: skip
_BIRTH = {"en": "birth", "zh": "出生"}


class Reactions:
    """What one caller says next. `wanted` is told by the caller's ear whether they have what they rang for."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self._given: dict[str, int] = {}
        self._mends = script.mends

    def to(self, asked: Asked, done: bool) -> str:
        """The reply to a question: words, KEYS with digits, or SILENCE. `done`: they have what they rang for."""
        script = self.script
        kind = self._kind(asked)
        if self._mends and (kind == "confirm" or asked.step == "more"):
            self._mends, mends = "", self._mends
            return mends
        if kind == "open":
            return self._open(asked, done)
        if kind == "confirm":
            return self._next("yes" if self._right(asked) else "no")
        if kind == "card" and not script.says.get("card"):
            return f"{KEYS}{script.card}"
        return self._next(kind)

    def _kind(self, asked: Asked) -> str:
        step = asked.step.rpartition("/")[2]
        match step:
            case "question" | "more":
                return "open"
            case "sure_of_place" | "sure_of_card" | "sure_of_birth":
                return "confirm"
            case "who":
                return "born" if _BIRTH[asked.language] in asked.words else "card"
            case "which_card":
                return "card"
            case "lost_card":
                return "yes"
            case "unknown":
                return "no" if self._asks_again() else "yes"
        return step

    def _right(self, asked: Asked) -> bool:
        """Whether the words that are to be confirmed are those that were meant."""
        script = self.script
        if asked.step == "sure_of_place":
            return any(name in asked.words for name in script.names)
        if asked.step.endswith("sure_of_card"):
            return script.card in asked.words
        year, _, day = map(int, script.born.split("-"))
        return {year, day} <= set(map(int, re.findall(r"\d+", asked.words)))

    def _asks_again(self) -> bool:
        """Everybody says what they want once more than they meant to."""
        return self._given.get("open", 0) <= len(self.script.opens)

    def _open(self, asked: Asked, done: bool) -> str:
        if done or not (asked.step == "question" or self._asks_again()):
            return self._next("bye")
        count = self._given.get("open", 0)
        self._given["open"] = count + 1
        return self.script.opens[min(count, len(self.script.opens) - 1)]

    def _next(self, kind: str) -> str:
        replies: Sequence[str] = self.script.says.get(kind) or _ALWAYS[self.script.language].get(kind, (SILENCE,))
        count = self._given.get(kind, 0)
        self._given[kind] = count + 1
        return replies[min(count, len(replies) - 1)]


def _keyed(card: str, born: str) -> dict[str, tuple[str, ...]]:
    return {"card": (f"{KEYS}{card}",), "born": (f"{KEYS}{born.replace('-', '')}",)}


def _spoken(card: str, born: str, said: str, birthday: str) -> dict[str, tuple[str, ...]]:
    """Said first, keyed when it was not understood."""
    keyed = _keyed(card, born)
    return {"card": (said, said, *keyed["card"]), "born": (birthday, birthday, *keyed["born"])}


def _en(number: int, task: str, *opens: str, **more: object) -> Script:
    return Script(f"en {number:02} {task}", "en", task, opens, **more)  # type: ignore[arg-type]


def _zh(number: int, task: str, *opens: str, **more: object) -> Script:
    return Script(f"zh {number:02} {task}", "zh", task, opens, **more)  # type: ignore[arg-type]


ENGLISH = (
    _en(1, "branch", "I am looking for a bank near the Bird's Nest.", place="birds-nest", names=("Bird's Nest",),
        says={"branch": ("The Bird's Nest.",)}),
    _en(2, "branch", "Do you have an office close to the Summer Palace?", place="old-summer-palace",
        names=("Old Summer Palace",), mends="No, not the Summer Palace, the Old Summer Palace.",
        says={"branch": ("The Old Summer Palace.",)}, twist="correction"),
    _en(3, "branch", "I need to go to one of your branches.", place="temple-of-heaven", names=("Temple of Heaven",),
        says={"branch": ("The Temple of Heaven.",)}),
    _en(4, "branch", "Which of your branches is nearest to Beijing Zoo?", place="beijing-zoo", names=("Beijing Zoo",),
        says={"branch": ("Beijing Zoo.",)}),
    _en(5, "branch", "What will the weather be tomorrow?", "Find me a branch by the Capital Airport.",
        place="capital-airport", names=("Capital Airport",), says={"branch": ("The Capital Airport.",)},
        twist="no-match"),
    _en(6, "balance", "Can you tell me how much I have in my account?", customer="C1001", card="8620",
        born="1985-03-12",
        says=_spoken("8620", "1985-03-12", "Eight six two zero.", "March twelfth, nineteen eighty five.")),
    _en(7, "balance", "I would like to know my balance.", customer="C1002", card="0957", born="1990-10-01",
        says=_keyed("0957", "1990-10-01"), twist="keys"),
    _en(8, "balance", "How much money is left on my card?", customer="C1005", card="7315", born="1979-11-30",
        says=_spoken("7315", "1979-11-30", "Seven three one five.", "The thirtieth of November nineteen seventy nine.")
        | {"card": ("What is the fee for a transfer to another bank?", "Seven three one five.", "#7315")},
        entry="fee_transfer", twist="digression"),
    _en(9, "lost_card", "Hello, I have lost my bank card.", customer="C1003", card="6688",
        says={"card": ("Six six eight eight.", "Six six eight eight.", "#6688")}),
    _en(10, "lost_card", SILENCE, SILENCE, SILENCE, customer="C1007", card="3391",
        says={"card": ("#3391",), "choose": ("#3",)}, twist="keys"),
    _en(11, "lost_card", "Somebody took my purse and my card was in it.", customer="C1006", card="2049",
        says={"card": ("Two zero four nine.", "Two zero four nine.", "#2049")}),
    _en(12, "fees", "What do you charge for sending money to another country?", entry="fee_international"),
    _en(13, "fees", "How much do I pay every year for a credit card?", entry="fee_card"),
    _en(14, "fees", "Does it cost anything to take out cash at another bank's machine?", entry="fee_withdrawal"),
    _en(15, "hours", "Until what time are you open today?", entry="opening_hours"),
    _en(16, "hours", "Are your branches open on Sunday?", entry="opening_hours"),
    _en(17, "delivery", "When do I get my new card?", customer="C1007", card="3391", born="1995-12-25",
        says=_spoken("3391", "1995-12-25", "Three three nine one.", "December twenty fifth, nineteen ninety five.")),
    _en(18, "delivery", "I ordered a new card and it has not come.", customer="C1009", card="4477", born="1983-01-15",
        says=_keyed("4477", "1983-01-15"), twist="keys"),
    _en(19, "complaint", "I want to make a complaint about your service.",
        says={"complaint": ("The man at the counter was very rude to me.",)}),
    _en(20, "person", "Could I talk to a real person, please?"),
)  # fmt: skip

_BORN_1985, _BORN_1990, _BORN_2001 = "一九八五年三月十二号", "一九九零年十月一日", "二零零一年七月二十三号"

MANDARIN = (
    _zh(1, "branch", "我需要查询鸟巢附近的银行网点", place="birds-nest", names=("鸟巢",),
        says={"branch": ("我需要查询鸟巢附近的银行网点",)}),
    _zh(2, "branch", "请问西单附近有没有你们的网点", place="dongdan", names=("东单",), mends="不对，不是西单，是东单",
        says={"branch": ("不对，不是西单，是东单",)}, twist="correction"),
    _zh(3, "branch", "王府井附近的营业厅在哪里", place="wangfujing", names=("王府井",),
        says={"branch": ("王府井附近的营业厅在哪里",)}),
    _zh(4, "branch", "离北京南站最近的支行是哪一家", place="beijing-south-railway-station", names=("北京南站",),
        says={"branch": ("离北京南站最近的支行是哪一家",)}),
    _zh(5, "branch", "今天天气怎么样", "天安门附近的银行", place="tiananmen", names=("天安门",),
        says={"branch": ("天安门附近的银行",)}, twist="no-match"),
    _zh(6, "balance", "我想查一下余额", customer="C1001", card="8620", born="1985-03-12",
        says=_spoken("8620", "1985-03-12", "八六二零", _BORN_1985)),
    _zh(7, "balance", "卡里还有多少钱", customer="C1002", card="0957", born="1990-10-01",
        says=_keyed("0957", "1990-10-01"), twist="keys"),
    _zh(8, "balance", "我还有多少存款", customer="C1003", card="6688", born="2001-07-23",
        says=_spoken("6688", "2001-07-23", "六六八八", _BORN_2001)
        | {"card": ("信用卡年费多少钱", "六六八八", "#6688")}, entry="fee_card", twist="digression"),
    _zh(9, "lost_card", "我的银行卡丢了，请帮我挂失", customer="C1003", card="6688",
        says={"card": ("六六八八", "六六八八", "#6688")}),
    _zh(10, "lost_card", SILENCE, SILENCE, SILENCE, customer="C1005", card="7315",
        says={"card": ("#7315",), "choose": ("#3",)}, twist="keys"),
    _zh(11, "lost_card", "刚才发现卡不见了", customer="C1006", card="2049",
        says={"card": ("二零四九", "二零四九", "#2049")}),
    _zh(12, "fees", "请问跨境转账的手续费是多少", entry="fee_international"),
    _zh(13, "fees", "跨行转账要收费吗", entry="fee_transfer"),
    _zh(14, "fees", "异地取款手续费怎么算", entry="fee_withdrawal"),
    _zh(15, "hours", "你们周末营业吗", entry="opening_hours"),
    _zh(16, "hours", "银行几点关门", entry="opening_hours"),
    _zh(17, "delivery", "我的新卡什么时候寄到", customer="C1002", card="0957", born="1990-10-01",
        says=_spoken("0957", "1990-10-01", "零九五七", _BORN_1990)),
    _zh(18, "delivery", "申请的信用卡寄出来了吗", customer="C1001", card="8620", born="1985-03-12",
        says=_keyed("8620", "1985-03-12"), twist="keys"),
    _zh(19, "complaint", "我要投诉", says={"complaint": ("上次的问题一直没有解决",)}),
    _zh(20, "person", "我想跟真人说话"),
)  # fmt: skip

CALLERS: Mapping[str, tuple[Script, ...]] = {"en": ENGLISH, "zh": MANDARIN}
