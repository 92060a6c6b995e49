"""What may be dialled: only what is configured, and never what is dangerous or dear."""

import pytest

from ivr.config import Trunk, TrunkLimits
from ivr.telephony.dialing import Allowed, DialPolicy, Refused, parse_agent


def trunk(*prefixes: str, name: str = "t", country: str = "", **more) -> Trunk:
    return Trunk(name=name, host="sip.example.net", prefixes=prefixes, country=country, **more)


def open_trunk(country: str = "") -> Trunk:
    """Every prefix that can be written."""
    digits = tuple(str(d) for d in range(10))
    return trunk(*digits, *(f"+{d}" for d in digits), "00", country=country)


def ask(policy: DialPolicy, target: str, name: str | None = None, now_s: float = 0.0):
    return policy.ask(target, name, now_s)


def rule(target: str, country: str = "") -> str:
    answer = ask(DialPolicy([open_trunk(country)]), target)
    return answer.rule if isinstance(answer, Refused) else "allowed"


def test_as_shipped_nothing_may_be_dialled():
    policy = DialPolicy([trunk()])
    for target in ("400", "+4930231251", "sip:400@sip.example.net", "tel:+4930231251"):
        assert isinstance(ask(policy, target), Refused)
    assert isinstance(ask(DialPolicy([]), "+4930231251"), Refused)


@pytest.mark.parametrize(
    "number",
    ["112", "911", "999", "000", "110", "119", "120", "118", "1 1 2", "1-1-2", "１１２", "0112", "9911", "1123",
     "+49112", "0049 112", "+86110", "+86 120", "+1911", "tel:112", "sip:112@sip.example.net", "100", "101"],
)  # fmt: skip
def test_emergency_numbers_are_refused_whatever_a_prefix_says(number):
    assert rule(number) == "emergency"


@pytest.mark.parametrize(
    ("number", "country"),
    [("110", "CN"), ("119", "CN"), ("120", "CN"), ("112", "DE"), ("110", "DE"), ("0110", "DE"), ("911", "US"),
     ("999", "GB"), ("000", "AU"), ("15", "FR"), ("100", "IN")],
)  # fmt: skip
def test_emergency_numbers_of_the_trunks_country(number, country):
    assert rule(number, country) == "emergency"


def test_an_extension_that_is_an_emergency_number_elsewhere_needs_the_country():
    assert rule("100") == "emergency"
    assert rule("100", "DE") == "allowed"


@pytest.mark.parametrize(
    ("number", "country", "expected"),
    [
        ("+19005551212", "", "premium"),
        ("0900 1123456", "DE", "premium"),
        ("+49 900 1123456", "", "premium"),
        ("+447012345678", "", "premium"),
        ("+86 168 12345", "", "premium"),
        ("+491805123456", "", "shared_cost"),
        ("01805 123456", "DE", "shared_cost"),
        ("400 820 8820", "CN", "shared_cost"),
        ("+870773123456", "", "satellite"),
        ("+881612345678", "", "satellite"),
        ("+88216212345", "", "satellite"),
        ("+8835100012345", "", "satellite"),
        ("+88299123456", "", "satellite"),
        ("00881612345678", "", "satellite"),
        ("00881612345678", "DE", "satellite"),
        ("+979123456789", "", "satellite"),
        ("+80812345678", "", "satellite"),
        ("sip:+881612345678@sip.example.net", "", "satellite"),
        ("tel:+881612345678", "", "satellite"),
        ("+4911", "", "unknown_number"),
        ("+999123456789", "", "unknown_number"),
        ("+49 30", "", "unknown_number"),
        ("030231251", "", "unknown_number"),
    ],
)
def test_dear_and_unknown_numbers_are_refused_whatever_a_prefix_says(number, country, expected):
    assert rule(number, country) == expected


@pytest.mark.parametrize(
    "target",
    ["", "abc", "+", "++4930", "4" * 21, "400;phone-context=x", "400\r\nX: y", "4%30", "sip:",
     "sip:400@sip.example.net?Replaces=a", "sip:400@sip.example.net;maddr=192.0.2.1", "sip:4%3000@sip.example.net",
     "sip:400:secret@sip.example.net", "sips:400@sip.example.net", "sip:400@sip.example.net:5060@evil.example",
     "*21*0900#", "sip:*72@sip.example.net", "1" + " " * 200],
)  # fmt: skip
def test_what_is_no_number_and_no_plain_uri_is_refused(target):
    assert rule(target) == "format"


@pytest.mark.parametrize(
    ("prefix", "target", "country", "dialled"),
    [
        ("+49", "+49 30 231251", "", "+4930231251"),
        ("+49", "0049 (30) 231251", "", "+4930231251"),
        ("+49", "030 231251", "DE", "+4930231251"),
        ("0049", "+4930231251", "", "004930231251"),
        ("030", "+4930231251", "DE", "030231251"),
        ("0", "030231251", "DE", "030231251"),
        ("+86", "138 0013 8000", "CN", "+8613800138000"),
        ("138", "+86 138 0013 8000", "CN", "13800138000"),
        ("010", "+86 10 6256 1234", "CN", "01062561234"),
        ("+1", "(202) 555-0123", "US", "+12025550123"),
        ("4", "400", "", "400"),
        ("4", "４００", "", "400"),
        ("4", "sip:400@SIP.example.net:5060", "", "400"),
        ("4", "tel:400", "", "400"),
    ],
)
def test_a_number_is_dialled_in_the_form_its_prefix_is_written_in(prefix, target, country, dialled):
    answer = ask(DialPolicy([trunk(prefix, country=country)]), target)
    assert isinstance(answer, Allowed), answer
    assert answer.uri == f"sip:{dialled}@sip.example.net:5060"
    assert (answer.peer, answer.prefix) == ("t", prefix)


@pytest.mark.parametrize(
    ("prefix", "target"),
    [("+49", "+43123456789"), ("+4930", "+498912345678"), ("4", "500"), ("4", "+4930231251"), ("49", "+4930231251"),
     ("0", "+4930231251"), ("5", "sip:400@sip.example.net")],
)  # fmt: skip
def test_other_prefixes_stay_closed(prefix, target):
    answer = ask(DialPolicy([trunk(prefix)]), target)
    assert isinstance(answer, Refused)
    assert answer.rule == "prefix"


def test_the_trunk_with_the_best_prefix_is_taken_of_equals_the_first():
    policy = DialPolicy([trunk("+49", name="a"), trunk("+4930", name="b"), trunk("+49", name="c")])
    assert ask(policy, "+4930231251").peer == "b"
    assert ask(policy, "+498912345678").peer == "a"
    assert ask(policy, "+498912345678", "c").peer == "c"
    assert ask(policy, "+498912345678", "b").rule == "prefix"
    assert ask(policy, "+498912345678", "d").rule == "no_trunk"


def test_sip_uris_only_of_trunks_and_agents():
    policy = DialPolicy([trunk("4")], ["sip:anna@192.0.2.7:5062", "sip:bo@PBX.example;transport=tcp"])
    assert ask(policy, "sip:anna@192.0.2.7:5062") == Allowed("sip:anna@192.0.2.7:5062", "agent anna@192.0.2.7:5062")
    assert ask(policy, "sip:bo@pbx.example:5060;transport=tcp").uri == "sip:bo@pbx.example:5060;transport=tcp"
    for target in ("sip:anna@192.0.2.7", "sip:mallory@192.0.2.7:5062", "sip:bo@pbx.example", "sip:400@evil.example",
                   "sip:400@sip.example.net:5070", "sip:sip.example.net"):  # fmt: skip
        assert ask(policy, target).rule == "target", target


def test_transport_and_port_come_from_the_trunk():
    answer = ask(DialPolicy([trunk("4", port=5070, transport="tcp")]), "400")
    assert answer.uri == "sip:400@sip.example.net:5070;transport=tcp"


def test_calls_an_hour_are_limited_for_each_trunk_in_a_sliding_window():
    limits = TrunkLimits(calls_per_hour=3, calls_per_hour_per_prefix=9)
    policy = DialPolicy([trunk("4", "5", limits=limits)])
    for now_s, target in ((0, "400"), (1_000, "500"), (2_000, "401")):
        assert isinstance(ask(policy, target, now_s=now_s), Allowed)
    assert ask(policy, "402", now_s=3_599).rule == "limit"
    assert isinstance(ask(policy, "402", now_s=3_600), Allowed)
    assert ask(policy, "402", now_s=4_599).rule == "limit"
    assert isinstance(ask(policy, "402", now_s=4_600), Allowed)


def test_calls_an_hour_are_limited_for_each_prefix():
    limits = TrunkLimits(calls_per_hour=9, calls_per_hour_per_prefix=2)
    policy = DialPolicy([trunk("4", "5", limits=limits), trunk("4", name="other")])
    assert all(isinstance(ask(policy, "400", "t"), Allowed) for _ in range(2))
    assert ask(policy, "401", "t").rule == "limit"
    assert isinstance(ask(policy, "500", "t"), Allowed)
    assert isinstance(ask(policy, "400", "other"), Allowed)


def test_a_refusal_does_not_count_and_its_words_hold_no_number():
    policy = DialPolicy([trunk("4", limits=TrunkLimits(calls_per_hour=1))])
    for target in ("112", "+4930231251", "sip:400@evil.example"):
        refused = ask(policy, target)
        assert isinstance(refused, Refused)
        assert "231251" not in refused.words
    assert isinstance(ask(policy, "400"), Allowed)


@pytest.mark.parametrize("uri", ["anna@pbx", "sip:anna@pbx:99999", "sip:anna@pbx?x=y", "http://pbx", ""])
def test_an_agent_must_be_a_sip_uri(uri):
    with pytest.raises(ValueError, match="SIP URI"):
        parse_agent(uri)
