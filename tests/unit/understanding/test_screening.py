"""Assistants that ask who calls are told from mailboxes and from people, in both languages."""

import pytest

from ivr.understanding.screening import asks_who_calls


@pytest.mark.parametrize(("language", "text"), [
    ("en", "Hi, if you record your name and reason for calling, I'll see if this person is available."),
    ("en", "This person is using a screening service. Go ahead and say your name and why you're calling."),
    ("en", "Hello, who is calling please?"),
    ("en", "I am the virtual assistant of Anna. May I ask the reason for your call? I can take a message."),
    ("zh", "您好，请说出您的姓名和来电原因，我会看看对方是否方便接听。"),
    ("zh", "您好，我是机主的智能助理，请告诉我您是谁，有什么事我会帮您转告。"),
    ("zh", "请问您的来电目的是什么？"),
])  # fmt: skip
def test_an_assistant_asks_who_calls(language, text):
    assert asks_who_calls(text, language)


@pytest.mark.parametrize(("language", "text"), [
    ("en", "Hi, you've reached Tom. Please leave your name and number after the tone."),
    ("en", "The person you are calling is not available. Please record your message after the beep."),
    ("en", "Hello? Hello, this is Anna speaking."),
    ("en", ""),
    ("zh", "您好，您拨打的用户暂时无法接听，请在提示音后留言。"),
    ("zh", "我现在不在，请在嘀声之后留下您的姓名和电话。"),
    ("zh", "喂，你好，我是王小明。"),
])  # fmt: skip
def test_mailboxes_and_people_do_not(language, text):
    assert not asks_who_calls(text, language)
