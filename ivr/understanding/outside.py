"""What people say on any telephone and no plan means: learnt beside the examples of a plan, as out of scope.

Without it a model divides everything that can be said among the few intents it knows. Chosen to be far from what
services are for; a plan that answers such a thing all the same has examples that are nearer. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from ivr.understanding.intents import OUT_OF_SCOPE, Example

LEAST = 100
"""Examples of a plan in a language from which a model of them is better than their words. With fewer it turns away too
much or too little: tried with three, six and eleven of the bank's intents and two, five and ten examples of each."""
SAID: dict[str, tuple[str, ...]] = {
    "en": (
        "what's the weather like tomorrow",
        "tell me a joke",
        "what is your name",
        "are you a robot",
        "what time is it",
        "who won the game last night",
        "set an alarm for seven",
        "send a message to my brother",
        "where can I eat something nice",
        "how do I cook rice",
        "who is the president",
        "what does this word mean",
        "how do I get to the airport",
        "my car does not start",
        "make an appointment with the doctor",
        "recommend a good film",
        "you are funny",
        "wait a moment please",
        "I am driving right now",
        "sorry wrong number",
        "who is calling",
        "I do not understand",
        "maybe",
        "talk louder please",
        "hold on someone is at the door",
        "testing one two three",
        "how much is a train ticket",
        "what should I wear today",
        "is the shop next door open",
        "write that down",
    ),
    "zh": (
        "明天天气怎么样",
        "讲个笑话听听",
        "你叫什么",
        "你是不是机器人",
        "现在几点钟",
        "昨天比赛谁赢了",
        "定一个七点的闹钟",
        "给我哥发条消息",
        "哪里有好吃的",
        "米饭怎么煮",
        "总统是谁",
        "这个词什么意思",
        "去机场怎么走",
        "我的车打不着火",
        "我要挂号看病",
        "推荐一部电影",
        "你真有意思",
        "等一下",
        "我正在开车",
        "不好意思打错了",
        "请问你是哪位",
        "我没明白",
        "可能吧",
        "声音大一点",
        "稍等，有人敲门",
        "喂喂喂听得见我说话吗",
        "火车票多少钱",
        "今天穿什么好",
        "隔壁商店开门吗",
        "把这个记下来",
    ),
}


def to_learn(examples: Sequence[Example]) -> dict[str, tuple[Example, ...]]:
    """Language -> what a model for calls learns: the plan's examples in it and those outside.

    Only languages that this knows, with LEAST examples of two intents or more; words are enough for the others.
    """
    found = {}
    for language, said in SAID.items():
        own = tuple(e for e in examples if e.language == language)
        if len(own) >= LEAST and len({e.intent for e in own}) > 1:
            found[language] = (*own, *(Example(text, OUT_OF_SCOPE, language) for text in said))
    return found
