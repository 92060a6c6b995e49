"""Samples: conversions, G.711, levels; and the features Whisper takes."""

import numpy as np
import pytest

from ivr.speech import pcm
from ivr.speech.mel import log_mel


def tone(hz: float, ms: int, rate_hz: int = pcm.RATE_HZ, level: float = 0.5) -> bytes:
    t = np.arange(rate_hz * ms // 1_000) / rate_hz
    return pcm.to_pcm((level * np.sin(2 * np.pi * hz * t)).astype(np.float32))


def test_samples_survive_the_way_to_floats_and_back() -> None:
    every = np.arange(-32_768, 32_768, dtype="<i2").tobytes()
    assert pcm.to_pcm(pcm.to_wave(every)) == every


def test_half_a_sample_at_the_end_is_dropped() -> None:
    assert pcm.to_wave(b"\x01\x00\x02").size == 1


def test_loud_floats_are_clipped() -> None:
    assert np.frombuffer(pcm.to_pcm(np.array([2.0, -2.0])), "<i2").tolist() == [32_767, -32_768]


@pytest.mark.parametrize(
    ("sample", "code"), [(0, 0xFF), (8_031, 0xA0), (-8_031, 0x20), (32_635, 0x80), (-32_635, 0x00)]
)
def test_mu_law_codes_of_the_standard(sample: int, code: int) -> None:
    """ITU-T G.711 table 2a; samples there are 14 bits."""
    assert pcm.mu_law_encode(np.array([sample], "<i2").tobytes()) == bytes([code])


def test_mu_law_is_its_own_inverse_on_its_codes() -> None:
    codes = bytes(c for c in range(256) if c != 0x7F)
    assert pcm.mu_law_encode(pcm.mu_law_decode(codes)) == codes


def test_the_telephone_keeps_the_band_and_cuts_above() -> None:
    kept = pcm.rms_dbfs(pcm.over_telephone(tone(1_000, 500)))
    cut = pcm.rms_dbfs(pcm.over_telephone(tone(6_000, 500)))
    assert kept == pytest.approx(pcm.rms_dbfs(tone(1_000, 500)), abs=0.5)
    assert cut < kept - 40


def test_resampling_keeps_the_length() -> None:
    assert pcm.duration_ms(pcm.resample(tone(440, 730, 8_000), 8_000, 16_000)) == 730


def test_a_wav_file_is_read_at_the_wanted_rate_and_mixed_to_mono(tmp_path) -> None:
    pcm.write_wav(tmp_path / "a.wav", tone(440, 200, 8_000), 8_000)
    assert pcm.duration_ms(pcm.read_wav(tmp_path / "a.wav")) == 200
    (tmp_path / "b.wav").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a PCM WAV"):
        pcm.read_wav(tmp_path / "b.wav")


def test_levels() -> None:
    assert pcm.rms_dbfs(pcm.silence(100)) == -120
    assert pcm.rms_dbfs(tone(500, 100, level=1.0)) == pytest.approx(-3, abs=0.1)
    assert pcm.rms_dbfs(pcm.gain(tone(500, 100), -20)) == pytest.approx(pcm.rms_dbfs(tone(500, 100)) - 20, abs=0.1)


def test_features_have_whispers_shape_and_scale() -> None:
    mel = log_mel(pcm.to_wave(tone(1_000, 1_000)))
    assert mel.shape == (1, 80, 100)
    assert mel.dtype == np.float32
    assert float(mel.max() - mel.min()) <= 2.0 + 1e-6


def test_features_of_a_known_signal_are_those_of_the_reference() -> None:
    """Values of OpenAI's log_mel_spectrogram for a chirp, without padding."""
    t = np.arange(16_000) / 16_000
    wave = (0.3 * np.sin(2 * np.pi * (200 + 1_500 * t) * t)).astype(np.float32)
    mel = log_mel(wave)[0]
    assert [float(mel[band, frame]) for band, frame in REFERENCE] == pytest.approx(list(REFERENCE.values()), abs=1e-4)


REFERENCE = {
    (0, 0): 1.05495,
    (5, 10): -0.11887,
    (10, 20): -0.6524,
    (20, 40): -0.66397,
    (30, 60): -0.66397,
    (40, 80): -0.66397,
    (45, 90): -0.66397,
    (60, 99): -0.06421,
    (79, 50): -0.66397,
}
