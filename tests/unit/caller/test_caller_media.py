"""RTP figures, talk detection, G.711 and the timeline's audio, fed with packets made here."""

import audioop

import numpy as np
import pytest

from ivr.caller import g711, rtp
from ivr.caller.speak import at_telephone_rate, read_wav
from ivr.caller.talk import TalkDetector, rms, trimmed
from ivr.errors import InvalidInput

LOUD = np.full(160, 1000, np.int16)
QUIET = np.zeros(160, np.int16)


def packet(sequence: int, timestamp: int | None = None, ssrc: int = 1) -> rtp.Packet:
    stamp = sequence * 160 if timestamp is None else timestamp
    return rtp.Packet(0, sequence & 0xFFFF, stamp & 0xFFFFFFFF, ssrc, b"\xff" * 160)


def reception(sequences, spacing_s=0.02) -> rtp.Reception:
    got = rtp.Reception()
    for index, sequence in enumerate(sequences):
        got.take(packet(sequence), index * spacing_s)
    return got


@pytest.mark.parametrize(("name", "to_lin"), [("PCMU", audioop.ulaw2lin), ("PCMA", audioop.alaw2lin)])
def test_g711_decodes_as_the_standard_library_did(name, to_lin):
    codes = bytes(range(256))
    assert np.array_equal(g711.decode(name, codes), np.frombuffer(to_lin(codes, 2), np.int16))


@pytest.mark.parametrize("name", ["PCMU", "PCMA"])
def test_g711_coding_a_decoded_code_gives_the_same_value(name):
    values = g711.decode(name, bytes(range(256)))
    assert np.array_equal(g711.decode(name, g711.encode(name, values)), values)


@pytest.mark.parametrize("name", ["PCMU", "PCMA"])
def test_g711_error_stays_small_over_the_whole_range(name):
    samples = np.arange(-32768, 32768, dtype=np.int32)
    back = g711.decode(name, g711.encode(name, samples.astype(np.int16))).astype(np.int32)
    inside = np.abs(samples) < 32_000
    assert np.max(np.abs(back - samples)[inside] / np.maximum(np.abs(samples[inside]), 64)) < 0.13


def test_a_packet_is_packed_and_parsed():
    sent = rtp.Packet(101, 65_535, 0xFFFFFFFF, 42, b"abc", True)
    assert rtp.parse(rtp.pack(sent)) == sent


def test_padding_and_header_extension_are_taken_off():
    head = bytes([0xB0, 0]) + bytes(10)
    extension = bytes([0xBE, 0xDE, 0, 1, 1, 2, 3, 4])
    assert rtp.parse(head + extension + b"data" + b"\0\0\3").payload == b"data"


@pytest.mark.parametrize("data", [b"", b"\x80" * 5, b"\x40" + bytes(20), bytes([0x80, 200]) + bytes(20)])
def test_other_datagrams_are_no_rtp(data):
    assert rtp.parse(data) is None


def test_reception_without_faults():
    got = reception(range(100))
    assert (got.received, got.lost, got.duplicates, got.late) == (100, 0, 0, 0)
    assert got.jitter_ms == pytest.approx(0.0, abs=1e-6)
    assert len(got.spacing_ms) == 99


def test_loss_duplicates_and_disorder_are_counted_apart():
    got = reception([0, 1, 3, 2, 4, 4, 7])
    assert (got.received, got.lost, got.duplicates, got.late) == (6, 2, 1, 1)


def test_sequence_numbers_wrap():
    got = reception(range(65_530, 65_550))
    assert (got.received, got.lost, got.late) == (20, 0, 0)


def test_a_new_source_starts_over_without_loss():
    got = rtp.Reception()
    for index in range(10):
        got.take(packet(index), index * 0.02)
    for index in range(5000, 5010):
        got.take(packet(index, ssrc=2), 1 + index * 0.02)
    assert (got.received, got.lost, got.sources) == (20, 0, 2)


def test_jitter_follows_the_estimator_of_rfc_3550():
    got, expected, before = rtp.Reception(), 0.0, 0.0
    for index, delay in enumerate([0, 5, 0, 10, 3, 3, 20, 0]):
        got.take(packet(index), index * 0.02 + delay / 1000)
        if index:
            expected += (abs(delay - before) - expected) / 16
        before = delay
    assert got.jitter_ms == pytest.approx(expected)
    assert max(got.deviation_ms) == pytest.approx(20)


def test_one_key_is_read_once_however_many_packets_carry_it():
    reader, read = rtp.KeyReader(), ""
    for number, digit in enumerate("1#1"):
        for payload, marker in rtp.key_packets(digit, 100):
            read += reader.take(rtp.Packet(101, 0, number * 2000, 1, payload, marker))
    assert read == "1#1"


def test_a_key_ends_with_three_end_packets_of_full_duration():
    payloads = [payload for payload, _ in rtp.key_packets("5", 120)]
    ends = [p for p in payloads if p[1] & 0x80]
    assert len(ends) == 3
    assert {int.from_bytes(p[2:], "big") for p in ends} == {960}
    assert [marker for _, marker in rtp.key_packets("5", 120)].count(True) == 1


def test_audio_lies_where_its_timestamp_says_not_where_it_arrived():
    track = rtp.Track()
    track.place(packet(0), 10.0, LOUD)
    track.place(packet(2), 10.075, LOUD)
    audio = track.audio(10.0, 10.06)
    assert [rms(audio[i : i + 160]) > 0 for i in (0, 160, 320)] == [True, False, True]


def test_a_jump_of_the_timestamps_falls_back_on_the_arrival():
    track = rtp.Track()
    track.place(packet(0), 10.0, LOUD)
    assert track.place(packet(1, timestamp=999_999), 10.02, LOUD) == 10.02
    assert track.place(packet(2, timestamp=999_999 + 160), 10.05, LOUD) == pytest.approx(10.04)


def feed(detector: TalkDetector, pattern: str) -> list[tuple[str, float]]:
    for index, letter in enumerate(pattern, 1):
        detector.take(LOUD if letter == "x" else QUIET, index * 0.02)
    return [(s.what, round(s.at_s, 2)) for s in detector.spells]


def test_talking_counts_from_the_beginning_of_the_first_of_three_loud_frames():
    assert feed(TalkDetector(), ".....xxx") == [("talking", 0.1)]


def test_a_click_is_no_talk():
    assert feed(TalkDetector(), "..xx......x....xx...") == []


def test_quiet_counts_from_the_end_of_the_last_loud_frame():
    assert feed(TalkDetector(), "xxxxx" + "." * 15) == [("talking", 0.0), ("quiet", 0.1)]


def test_a_short_pause_between_words_is_talk():
    assert feed(TalkDetector(), "xxxxx" + "." * 14 + "xxx") == [("talking", 0.0)]


def test_missing_packets_count_as_silence():
    detector = TalkDetector()
    feed(detector, "xxxxx")
    assert detector.idle(5.0).what == "quiet"
    assert not detector.talking


def test_the_silent_tail_is_trimmed():
    speech = np.concatenate([QUIET, LOUD, LOUD, QUIET, QUIET])
    assert len(trimmed(speech)) == 480


def test_resampling_keeps_the_length():
    assert abs(len(at_telephone_rate(np.zeros(44_100, np.int16), 44_100)) - 8_000) <= 1


def test_a_file_that_is_no_wav_is_refused_with_its_name(tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no sound here")
    with pytest.raises(InvalidInput, match=r"bad\.wav"):
        read_wav(bad)
