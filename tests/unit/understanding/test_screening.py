"""Screening assistants by their words, against voicemail and people, in both languages."""

import pytest

from ivr.understanding.screening import is_screening

SCREENING = [
    "Hi. If you record your name and reason for calling, I'll see if this person is available.",
    "hello the person you are calling is using a screening service from google and will get a copy of this",
    "Thanks for calling. Before I try to connect you, please say your name and why you're calling.",
    "Hello, I'm the virtual assistant of Mr Brown. May I ask who is calling?",
    "The person you're trying to reach screens unknown calls. Please tell me what this is about.",
    "please state your name after the tone and we will try to connect you",
    "This call is screened by an automated system. Who's calling, please?",
    "Hi, I am a digital assistant answering for Lisa. Tell me your name and the purpose of your call, please.",
    "go ahead and say your name and what it is about",
    "Their phone uses call screening. One moment.",
    "您好，机主正在使用来电助理，请说明来意。",
    "你好，我是机主的智能助理，请问您找他有什么事？",
    "您好，我是电话秘书，正在代为接听，请问您是哪位？",
    "您拨打的用户现在不方便接听，请问您怎么称呼，有什么事我可以帮您转达。",
    "机主正忙，请说出您的姓名和来电目的",
    "这里是智能接听服务，请问您因为什么事情打电话",
    "机主设置了陌生号码验证，请告诉我您是谁，我来询问机主是否方便接听",
    "记住正在开会，请问您有什么事需要转达吗",
    "喂你好我是小爱语音助手机主暂时不在您可以告诉我什么事",
    "您好我是本机的通话助理",
    "您好，请说出您的姓名和来电原因，我会看看对方是否方便接听。",
    "请问您的来电目的是什么？",
]  # fmt: skip

VOICEMAIL = [
    "You have reached the Smiths. We are out at the moment, please leave a message after the tone.",
    "The person you are calling is not available. Please leave your name, your number and the reason for your call.",
    "Your call has been forwarded to an automatic voice message system. At the tone please record your message.",
    "hi this is mark i can't come to the phone right now leave me your name and i'll call you back",
    "The mailbox is full. Goodbye.",
    "The customer you are calling has switched off the phone, please try again later",
    "The person you are calling is on another call. Please stay on the line.",
    "Hello, this is Anna's voicemail, say your name and why you're calling and I will get back to you.",
    "the number you have dialled is not in service",
    "您好，您拨打的用户暂时无法接听，请在提示音后留言。",
    "您好，我现在不方便接电话，请在嘀声之后留下您的姓名和电话号码，我会尽快回复您。",
    "您拨打的电话已关机，请稍后再拨",
    "对不起，您呼叫的用户正在通话中，请不要挂机",
    "这里是张先生的语音信箱，有什么事请留言",
    "您好，机主不在，请在滴声后说出您的姓名和来电原因并留言",
    "您所拨打的号码是空号，请核对后再拨",
]

HUMANS = [
    "Hello?", "Hello, this is Mary Jones speaking.", "Who is calling, please?", "What is this about?",
    "Yes, may I ask who's calling and what this is about?", "He's not here, can I take his name for you?",
    "I'm afraid she's in a meeting, let me see if she is available", "Is this a robot? Are you a virtual assistant?",
    "I'm her assistant, she will be here at five", "can you tell me the reason for your call", "this is about my card",
    "no I did not make this call, why are you calling me", "I never gave you my name", "my screen is broken",
    "喂？", "喂，你好，我是王小明，请问您是哪位？", "您好，请问有什么事吗？", "我不是机主，机主是我爱人",
    "我就是机主，您请讲", "他不在，你找他有什么事", "你是语音助手吗", "你是不是智能助理啊，我要转人工",
    "请记住我的名字", "我在开会，晚点再打", "怎么称呼您", "什么事啊", "您是哪位，怎么有我的电话", "我来一下",
]  # fmt: skip


@pytest.mark.parametrize("text", SCREENING)
def test_an_assistant_that_asks_who_calls_is_known(text):
    assert is_screening(text)


@pytest.mark.parametrize("text", [*VOICEMAIL, *HUMANS])
def test_voicemail_and_people_are_none(text):
    assert not is_screening(text)


@pytest.mark.parametrize(
    ("text", "from_words"),
    [
        ("the person you are calling is using a screening service and will get a copy of this conversation", 10),
        ("hi if you record your name and reason for calling i'll see if this person is available", 10),
    ],
)
def test_the_beginning_is_enough_and_more_does_not_take_it_back(text, from_words):
    words = text.split()
    told = [is_screening(" ".join(words[:n])) for n in range(len(words) + 1)]
    assert told == [n >= from_words for n in range(len(words) + 1)]


@pytest.mark.parametrize(
    ("text", "enough"),
    [
        ("您好，机主正在使用来电助理，请说明来意", "您好，机主正在使用来电助理"),
        ("機主正忙，請問您有什麼事", "機主正忙，請問您有什麼事"),
    ],
)
def test_mandarin_in_either_script_and_from_its_beginning(text, enough):
    told = [is_screening(text[:n]) for n in range(len(text) + 1)]
    assert told == [n >= len(enough) for n in range(len(text) + 1)]


def test_anything_can_be_asked():
    for text in ("", " ", "1234", "\ud800", "a" * 100_000, "机" * 100_000, "'" * 1_000, "ʼ是\x00"):
        assert not is_screening(text)
