"""What no caller may be asked for is refused, in both languages; what sounds like it and is not, is not."""

import pytest

from ivr.dialog.plan_file import load
from ivr.errors import InvalidInput


def refused(tmp_path, slot, en="Please go on.", zh="请讲。", name="it", step=""):
    file = tmp_path / "plan.yaml"
    step = step or f"{{kind: ask, slot: {name}, next: end, prompt: {{en: '{en}', zh: '{zh}'}}}}"
    file.write_text(f"languages: [en, zh]\nslots: {{{name}: {slot}}}\nsteps:\n  a: {step}\n", "utf-8")
    problems = ()
    try:
        load(file)
    except InvalidInput as wrong:
        problems = wrong.problems
    assert all("no caller may be asked for" in q.message and q.line and q.mend for q in problems)
    return [q.message.removeprefix("asks for ").partition(",")[0] for q in problems]


DIGITS = "{kind: digits}"


@pytest.mark.parametrize(
    ("name", "slot", "what"),
    [
        ("pin", "{kind: digits, min: 4, max: 4}", "a PIN"),
        ("card_pin", "{kind: code}", "a PIN"),
        ("cvv", "{kind: digits, min: 3, max: 3, sensitive: true}", "a card's security code"),
        ("cvc2", "{kind: text}", "a card's security code"),
        ("security_code", DIGITS, "a card's security code"),
        ("otp", "{kind: digits, min: 6, max: 6}", "a one-time code"),
        ("one_time_code", "{kind: code}", "a one-time code"),
        ("password", "{kind: text}", "a password"),
        ("card_number", DIGITS, "a whole card number"),
        ("id_number", "{kind: code}", "a whole identity number"),
        ("number", "{kind: digits, min: 16, max: 16}", "a whole card number"),
        ("number", "{kind: digits, min: 13, max: 19, sensitive: true}", "a whole card number"),
        ("number", "{kind: digits, max: 17}", "a whole card number"),
        ("number", "{kind: digits, min: 18, max: 18}", "a whole identity number"),
        ("number", "{kind: code, min: 18, max: 18}", "a whole identity number"),
        ("number", "{kind: code, min: 15, max: 15}", "a whole identity number"),
    ],
)
def test_slots_that_are_secrets_are_refused_where_they_are_asked_for(tmp_path, name, slot, what):
    name = name if name != "number" else "account"
    assert refused(tmp_path, slot, name=name) == [what]
    field = f"{{kind: form, next: end, fields: {{{name}: {{prompt: {{en: x, zh: 是}}}}}}}}"
    assert refused(tmp_path, slot, name=name, step=field) == [what]


@pytest.mark.parametrize(
    ("name", "slot"),
    [
        ("card", "{kind: digits, min: 4, max: 4, sensitive: true}"),
        ("card_number", "{kind: digits, min: 4, max: 4}"),
        ("account", "{kind: digits, min: 6, max: 12}"),
        ("reference", "{kind: digits}"),
        ("pin_blocked", "{kind: yes_no}"),
        ("spinning", "{kind: text}"),
        ("birth_date", "{kind: date}"),
        ("mobile", "{kind: phone, country: CN}"),
        ("booking", "{kind: code, min: 6, max: 6}"),
    ],
)
def test_other_slots_are_not(tmp_path, name, slot):
    assert refused(tmp_path, slot, name=name) == []


@pytest.mark.parametrize(
    ("en", "what"),
    [
        ("Please enter your PIN.", "a PIN or a password"),
        ("What is your pin code?", "a PIN or a password"),
        ("Your password, please.", "a password"),
        ("Key in the three digits of the CVV on the back.", "a card's security code"),
        ("Please read the security code.", "a card's security code"),
        ("Say the one-time code we sent you.", "a one-time code"),
        ("Please say the verification code.", "a one-time code"),
        ("Please say your full card number.", "a whole card number"),
        ("The number on your card, please.", "a whole card number"),
        ("Please say your identity card number.", "a whole identity number"),
        ("And what is your pin?", "a PIN or a password"),
        ("Your P.I.N. please.", "a PIN or a password"),
        ("The secret number of your card?", "a PIN or a password"),
        ("The three digits on the back of your card?", "a card's security code"),
        ("The code from the text message?", "a one-time code"),
        ("The first eight digits of your card?", "a whole card number"),
        ("Please say your passport number.", "a whole identity number"),
        ("We never sell data. Now your password, please.", "a password"),
    ],
)
def test_english_questions_for_secrets_are_refused(tmp_path, en, what):
    assert refused(tmp_path, DIGITS, en=en) == [what]


@pytest.mark.parametrize(
    ("zh", "what"),
    [
        ("请输入您的密码。", "a PIN or a password"),
        ("请说出查询密码。", "a PIN or a password"),
        ("请告诉我短信验证码。", "a one-time code"),
        ("卡背面的安全码是多少？", "a card's security code"),
        ("请输入完整的银行卡号。", "a whole card number"),
        ("请报一下您的身份证号码。", "a whole identity number"),
        ("请说出您的身份证。", "a whole identity number"),
        ("请说护照号码。", "a whole identity number"),
        ("请说卡背面的三位数字。", "a card's security code"),
        ("请输入短信里的六位数。", "a one-time code"),
    ],
)
def test_mandarin_questions_for_secrets_are_refused(tmp_path, zh, what):
    assert refused(tmp_path, DIGITS, zh=zh) == [what]


@pytest.mark.parametrize(
    ("en", "zh"),
    [
        ("Please say the last four digits of your card number.", "请输入银行卡号的后四位。"),
        ("The last six characters of your identity card number?", "请说身份证号码的后六位。"),
        ("The last four of your card.", "请说银行卡尾号。"),
        ("Never tell us your PIN. How many cards do you have?", "请不要告诉我们密码。您有几张卡？"),
        ("Spinning or typing?", "请说密云的电话。"),
        ("The first four digits of your card?", "卡背面的电话打过吗？请说是哪一天。"),
        ("Bring your identity card. Which day?", "请带身份证来。哪一天方便？"),
    ],
)
def test_parts_and_warnings_are_fine(tmp_path, en, zh):
    assert refused(tmp_path, DIGITS, en=en, zh=zh) == []


@pytest.mark.parametrize(
    "prompt",
    [
        "{en: 'How can I help? Say: I forgot my password.', zh: '请问有什么可以帮您？比如说：我忘记密码了。'}",
        "{en: 'You can ask about passwords.', zh: '您可以问密码的事。'}",
    ],
)
def test_an_open_question_may_name_a_secret_as_a_topic_and_not_ask_for_it(tmp_path, prompt):
    assert refused(tmp_path, DIGITS, step=f"{{kind: ask, next: b, prompt: {prompt}}}\n  b: {{kind: ask, slot: it, "
                   "prompt: {en: x, zh: 是}, next: end}") == []  # fmt: skip
    asking = "{en: 'Please tell me your PIN.', zh: '请告诉我您的密码。'}"
    assert refused(tmp_path, DIGITS, step=f"{{kind: ask, next: end, prompt: {asking}}}") == ["a PIN or a password"] * 2


def test_a_menu_and_its_help_ask_for_none_either(tmp_path):
    menu = (
        "{kind: menu, prompt: %s, choices: {x: {key: 1, en: x, zh: 是, next: b}}%s}\n"
        "  b: {kind: ask, slot: it, prompt: %s, next: end}"
    )
    asking, fine = "{en: 'Key in your PIN.', zh: '请输入密码。'}", "{en: Yes?, zh: 是吗？}"
    for step in (menu % (asking, "", fine), menu % (fine, f", help: {asking}", fine)):
        assert refused(tmp_path, DIGITS, step=step) == ["a PIN or a password"] * 2


def test_a_slot_of_few_digits_takes_no_whole_number(tmp_path):
    few = "{kind: digits, min: 4, max: 4}"
    assert refused(tmp_path, few, en="Your card number, please.", zh="请输入卡号。") == []
    assert refused(tmp_path, few, en="Your PIN, please.") == ["a PIN or a password"]


def test_a_yes_or_no_about_a_secret_is_fine(tmp_path):
    step = "{kind: ask, expect: yes_no, next: end, prompt: {en: 'Shall I reset your PIN?', zh: '要重置密码吗？'}}"
    assert refused(tmp_path, DIGITS, step=step) == []


def test_reprompts_are_looked_at_too(tmp_path):
    step = ("{kind: ask, slot: it, next: end, prompt: {en: Well?, zh: 请讲。}, "
            "no_match: [{en: Again., zh: 再来。}, {en: 'Your PIN, please.', zh: 再来。}]}")  # fmt: skip
    assert refused(tmp_path, DIGITS, step=step) == ["a PIN or a password"]


SAYING = [
    ("Please say your PIN after the tone.", "请在提示音后说出您的密码。", "a PIN or a password"),
    ("Key in the security code of your card.", "请输入卡背面的三位数字。", "a card's security code"),
    ("Now tell me the one-time code we sent you.", "请告诉我短信验证码。", "a one-time code"),
    ("Please say your identity card number.", "请报一下您的身份证号码。", "a whole identity number"),
    ("Please say your full card number.", "请输入完整的银行卡号。", "a whole card number"),
    ("Nobody is free, so say your PIN.", "如果您不能登录，请说出手机银行密码。", "a PIN or a password"),
    ("Say your secret online banking PIN.", "人工座席不在，请告诉我密码。", "a PIN or a password"),
]


@pytest.mark.parametrize(("en", "zh", "what"), SAYING)
@pytest.mark.parametrize("kind", ["say", "lookup", "transfer", "hangup"])
def test_what_is_only_said_asks_for_no_secret_either(tmp_path, kind, en, zh, what):
    """A pause, a question or keys may follow it."""
    words = f"{{en: '{en}', zh: '{zh}'}}"
    step = {
        "say": f"{{kind: say, prompt: {words}, next: end}}",
        "hangup": f"{{kind: hangup, prompt: {words}}}",
        "transfer": f"{{kind: transfer, prompt: {words}, target: anna, busy: end, no_answer: end, failed: end}}",
        "lookup": f"{{kind: lookup, backend: bank, path: /x, filler: {words}, next: end, on_error: end}}",
    }[kind]
    assert refused(tmp_path, DIGITS, step=step) == [what, what]


@pytest.mark.parametrize(
    ("en", "zh"),
    [
        ("Never tell anyone your PIN.", "请不要告诉任何人您的密码。"),
        ("Tell nobody your one-time code.", "验证码请勿告诉他人。"),
        ("We never ask for your PIN or a whole card number.", "我们不会问您的密码或者完整卡号。"),
        ("Keep your PIN secret.", "请保管好您的密码。"),
        ("You can change your password in the app.", "您可以在手机银行修改密码。"),
        ("Enter your PIN at the cash machine to activate the card.", "请在取款机输入密码激活卡片。"),
        ("Your PIN has been sent by post.", "密码已经寄出。"),
        ("Please say the last four digits of your card number next.", "接下来请说银行卡号的后四位。"),
        ("Your card number ends in one two.", "您的卡号已经更新。"),
    ],
)
def test_warnings_and_news_about_secrets_are_fine(tmp_path, en, zh):
    """So is where they belong."""
    step = f"{{kind: say, prompt: {{en: '{en}', zh: '{zh}'}}, next: end}}"
    assert refused(tmp_path, DIGITS, step=step) == []
