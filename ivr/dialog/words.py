"""What is said when a plan does not say otherwise: built-in words per language. Knows nothing of steps or calls."""

from __future__ import annotations

from collections.abc import Mapping

NO_INPUT: Mapping[str, tuple[str, ...]] = {
    "en": (
        "I did not hear anything. Please go ahead.",
        "I still cannot hear you. Say repeat to hear the question again.",
    ),
    "zh": ("我没有听到您的声音，请讲。", "我还是听不到您的声音。您可以说再说一遍，我会重复刚才的问题。"),
    "ko": (
        "말씀이 들리지 않습니다. 말씀해 주세요.",
        "아직 들리지 않습니다. 다시라고 하시면 질문을 다시 말씀드리겠습니다.",
    ),
}
NO_MATCH: Mapping[str, tuple[str, ...]] = {
    "en": (
        "I am sorry, I did not understand. Please say it again.",
        "I still did not understand. Please say it in other words.",
    ),
    "zh": ("对不起，我没有听懂，请再说一遍。", "对不起，我还是没有听懂，请换一种说法。"),
    "ko": ("죄송합니다. 이해하지 못했습니다. 다시 말씀해 주세요.", "죄송합니다. 다른 말로 말씀해 주세요."),
}
HELP: Mapping[str, str] = {
    "en": "Please answer the question. You can say repeat to hear it again.",
    "zh": "请回答刚才的问题。您可以说再说一遍来重听问题。",
    "ko": "질문에 답해 주세요. 다시라고 하시면 질문을 다시 들으실 수 있습니다.",
}
EITHER: Mapping[str, str] = {
    "en": "Did you mean: {first}, or: {second}?",
    "zh": "您说的是：{first}，还是：{second}？",
    "ko": "{first}, 아니면 {second} 말씀이신가요?",
}
"""Asks which of two things is meant; another language gets English."""
GOODBYE: Mapping[str, str] = {
    "en": "Thank you for calling. Goodbye.",
    "zh": "感谢您的来电，再见。",
    "ko": "전화해 주셔서 감사합니다. 안녕히 계세요.",
}
FAILED: Mapping[str, str] = {
    "en": "I am sorry, something went wrong. Please call again later. Goodbye.",
    "zh": "很抱歉，系统出现了问题，请稍后再打。再见。",
    "ko": "죄송합니다. 문제가 생겼습니다. 나중에 다시 전화해 주세요.",
}
