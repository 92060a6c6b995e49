"""SIP messages, descriptions and dialogs of the test caller, without a socket."""

import pytest

from ivr.caller import sdp
from ivr.caller.call import CallFailed
from ivr.caller.dialog import Dialog
from ivr.caller.sip import BadMessage, Message, address_of, params_of, parse, reply, split_list, uri_of, user_of

INVITE = (
    b"INVITE sip:400@127.0.0.1 SIP/2.0\r\n"
    b"v: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKa;rport, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb\r\n"
    b"Record-Route: <sip:10.0.0.1;lr>\r\n"
    b"Record-Route: <sip:10.0.0.2;lr>,<sip:10.0.0.3:5080;lr>\r\n"
    b'f: "A, B" <sip:alice@10.0.0.9>;tag=77\r\n'
    b"To: <sip:400@127.0.0.1>\r\n"
    b"Call-ID: abc\r\nCSeq: 7 INVITE\r\nContact: <sip:alice@10.0.0.9:5062>\r\n"
    b"Subject: folded\r\n over lines\r\n"
    b"l: 4\r\n\r\nbodyEXTRA"
)


def test_a_request_is_read_with_compact_names_folding_and_content_length():
    message = parse(INVITE)
    assert (message.method, message.uri, message.cseq) == ("INVITE", "sip:400@127.0.0.1", (7, "INVITE"))
    assert message.branch == "z9hG4bKa"
    assert message.body == b"body"
    assert message.get("subject") == "folded over lines"
    assert message.all("record-route") == ["<sip:10.0.0.1;lr>", "<sip:10.0.0.2;lr>", "<sip:10.0.0.3:5080;lr>"]


def test_packing_and_parsing_again_keeps_everything():
    message = parse(INVITE)
    again = parse(message.pack())
    assert [h for h in again.headers if h[0] != "content-length"] == [
        h for h in message.headers if h[0] != "content-length"
    ]
    assert again.body == message.body


@pytest.mark.parametrize("data", [b"", b"HELLO", b"INVITE sip:x HTTP/1.1\r\n\r\n", b"SIP/2.0 abc OK\r\n\r\n"])
def test_what_is_no_sip_is_refused(data):
    with pytest.raises(BadMessage):
        parse(data)


def test_header_values_come_apart():
    assert split_list('"A, B" <sip:a,b@c>;x=1, <sip:d@e>') == ['"A, B" <sip:a,b@c>;x=1', "<sip:d@e>"]
    assert params_of('"A" <sip:a@b;lr>;tag=1;Q="x"') == {"tag": "1", "q": "x"}
    assert uri_of("sip:a@b:5070;tag=1") == "sip:a@b:5070"
    assert user_of("sip:400;x=1@h") == "400"
    assert address_of("sip:a@h.example:5070;lr") == ("h.example", 5070)
    assert address_of("sip:[::1]") == ("[::1]", 5060)
    with pytest.raises(BadMessage):
        address_of("tel:123")


def test_a_reply_copies_what_the_rfc_wants_and_tags_to():
    answer = reply(parse(INVITE), 486, "mine")
    assert len([h for h in answer.headers if h[0] == "via"]) == 1
    assert params_of(answer.get("to")) == {"tag": "mine"}
    assert answer.get("cseq") == "7 INVITE"
    assert answer.reason == "Busy Here"
    assert params_of(reply(parse(INVITE), 100, "mine").get("to")) == {}


def test_the_calling_side_takes_routes_in_reverse_and_goes_to_the_first():
    dialog = Dialog.calling("sip:400@127.0.0.1", "sip:me@127.0.0.1:1", "sip:me@127.0.0.1:1")
    invite = dialog.request("INVITE")
    response = parse(INVITE)
    ok = Message(status=200, headers=[*response.headers])
    ok.set("to", "<sip:400@127.0.0.1>;tag=theirs")
    dialog.learn(ok)
    assert dialog.remote_tag == "theirs"
    assert dialog.hop() == ("10.0.0.3", 5080)
    bye = dialog.request("BYE")
    assert bye.uri == "sip:alice@10.0.0.9:5062"
    assert bye.all("route") == ["<sip:10.0.0.3:5080;lr>", "<sip:10.0.0.2;lr>", "<sip:10.0.0.1;lr>"]
    assert (invite.cseq, bye.cseq) == ((1, "INVITE"), (2, "BYE"))


def test_the_called_side_takes_routes_as_they_stand():
    dialog = Dialog.called(parse(INVITE), "sip:us@127.0.0.1:2")
    assert dialog.routes[0] == "<sip:10.0.0.1;lr>"
    assert dialog.target == "sip:alice@10.0.0.9:5062"
    assert dialog.remote_tag == "77"
    assert dialog.local_tag


def test_a_description_is_read_back():
    media = sdp.read(sdp.describe("127.0.0.1", 4000, ("PCMU", "PCMA")))
    assert (media.host, media.port, media.codecs, media.events) == ("127.0.0.1", 4000, ("PCMU", "PCMA"), 101)
    assert not media.held


def test_the_codec_of_our_choice_is_taken_with_the_far_ends_number():
    body = (
        b"v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 9 RTP/AVP 96 97 0\r\na=rtpmap:96 opus/48000\r\na=rtpmap:97 PCMA/8000\r\n"
    )
    chosen = sdp.choose(sdp.read(body), ("PCMA", "PCMU"))
    assert chosen.codecs == ("PCMA",)
    assert chosen.payloads == {"PCMA": 97}
    assert chosen.events == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"v=0\r\nm=video 9 RTP/AVP 31\r\n",
        b"v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 9 RTP/AVP 18\r\n",
        b"v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio x RTP/AVP 0\r\n",
        b"v=0\r\nm=audio 9 RTP/AVP 0\r\n",
    ],
)
def test_a_description_without_usable_audio_is_no_common_codec(body):
    with pytest.raises(sdp.NoCommonCodec):
        sdp.read(body)


@pytest.mark.parametrize(
    ("offered", "wanted", "answer"),
    [
        ("sendrecv", "sendrecv", "sendrecv"),
        ("sendonly", "sendrecv", "recvonly"),
        ("recvonly", "sendrecv", "sendonly"),
        ("inactive", "sendrecv", "inactive"),
        ("sendrecv", "sendonly", "sendonly"),
    ],
)
def test_the_direction_of_an_answer(offered, wanted, answer):
    assert sdp.answer_direction(offered, wanted) == answer


@pytest.mark.parametrize("code", [403, 404, 486, 488, 503])
def test_each_refusal_is_said_in_words(code):
    failure = CallFailed.by(Message(status=code, reason="R", headers=[("retry-after", "7 (soon)")]))
    assert failure.code == code
    assert failure.retry_after_s == 0 or failure.retry_after_s == 7
    assert str(failure).startswith(f"{code} R: ")
    assert len(str(failure)) > len(f"{code} R: refused")
