"""Whether the words that answer a call of ours are those of an assistant that asks who calls, before a person does.

Telephones screen calls: "Hi, if you record your name and reason for calling, I'll see if this person is available",
请说出您的姓名和来电原因. Whoever says so waits for an answer; a mailbox that only takes
messages does not. Pure.
"""

from __future__ import annotations

import re

from ivr.understanding.said import normal

_WHO = {
    "en": re.compile(
        r"\b(?:record|say|state|tell \w+|give) (?:\w+ ){0,3}?(?:name|who (?:is|you|this)|why|(?:the )?reason)\b"
        r"|\b(?:your name and|(?:reason|purpose) (?:for|of) (?:\w+ )?call)"
        r"|\bwho(?: is|'s|s)? (?:calling|this calling|on the line)\b|\bwho may i say\b"
        r"|\bwhy (?:you're|you are|are you|youre) calling\b"
    ),
    "zh": re.compile("(?:说出?|留下|告诉|告知|提供|录下|报)[^。，？]{0,8}(?:姓名|名字|身份|是谁|来电|原因|来意|事由)"
                     "|(?:来电|致电|打电话)的?(?:原因|目的|事由|意图)|有什么事(?:吗|情)?.{0,6}(?:转告|转达)|请问(?:您|你)?(?:是|哪)(?:谁|哪?一?位)"),
}  # fmt: skip
_ASSISTANT = {
    "en": re.compile(
        r"\b(?:screen\w*|assistant|(?:i'll|i will|ill) (?:see if|check (?:if|whether)|let \w+ know)"
        r"|(?:see|check) (?:if|whether) (?:this person|they|he|she|\w+) (?:is|are|'s) (?:available|free|there))"
    ),
    "zh": re.compile("助理|助手|代接|来电(?:筛选|过滤|拦截)|帮(?:他|她|您|机主)?(?:接听|看看|问问|转告|转达)|机主"
                     "|是否(?:方便|有空|可以)接"),
}  # fmt: skip
_MAILBOX = {
    "en": re.compile(
        r"\b(?:leave|record) (?:\w+ ){0,2}(?:a |your )?(?:\w+ )?message\b|\b(?:after|at) the (?:tone|beep)\b"
    ),
    "zh": re.compile("留言|语音信箱|嘀|哔|滴"),
}


def asks_who_calls(text: str, language: str) -> bool:
    """Whether a screening assistant says `text`: it asks who calls or why, and is no mailbox that only takes messages.

    What an assistant says of itself counts even where it offers to take a message.
    """
    said = normal(text, language)
    if language not in _WHO or not _WHO[language].search(said):
        return False
    return bool(_ASSISTANT[language].search(said)) or not _MAILBOX[language].search(said)
