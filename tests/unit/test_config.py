"""config.toml: what is accepted, and that every fault is told with its line and its mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr.config import Config, Number, load, secret
from ivr.errors import InvalidInput

NUMBER = '[[number]]\npattern = "400"\nplan = "main"\n'


def faults(folder: Path, text: str) -> list[str]:
    """Every problem of a configuration, as `line: field: message (mend)`."""
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidInput) as caught:
        load(path)
    return [str(problem).removeprefix(f"{path}:").lstrip() for problem in caught.value.problems]


def test_the_shipped_file_is_accepted_and_says_what_the_readme_says():
    config = load(Path(__file__).parents[2] / "config.toml")
    assert (config.sip.host, config.sip.port) == ("127.0.0.1", 5060)
    assert (config.http.host, config.http.port) == ("127.0.0.1", 8080)
    assert [(n.pattern, n.language) for n in config.number] == [
        ("400", "en"), ("401", "zh"), ("500", "en"), ("501", "zh")
    ]  # fmt: skip
    assert config.trunk == ()


def test_every_key_but_the_number_has_a_default(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(NUMBER)
    assert load(path) == Config(number=(Number(pattern="400", plan="main"),), root=str(tmp_path))


def test_relative_paths_count_from_the_file(tmp_path, monkeypatch):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "config.toml").write_text(NUMBER)
    monkeypatch.chdir(tmp_path)
    config = load("etc/config.toml")
    assert config.path("models") == tmp_path / "etc" / "models"
    assert config.path("/srv/models") == Path("/srv/models")


def test_languages_are_those_of_numbers_and_sections(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(NUMBER + '[speech.zh]\nrecognizer = "whisper"\n')
    config = load(path)
    assert config.languages == ("en", "zh")
    assert config.speech_for("zh").recognizer == "whisper"
    assert config.speech_for("ko").recognizer == "auto"


def test_a_missing_file_is_named():
    with pytest.raises(InvalidInput) as caught:
        load("no/such/config.toml")
    assert str(caught.value) == "no/such/config.toml: no such file (give the path with --config)"


def test_a_folder_is_no_configuration(tmp_path):
    with pytest.raises(InvalidInput, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_broken_toml_has_its_line_and_column(tmp_path):
    assert faults(tmp_path, "[sip]\nport = = 1\n") == ["2:8: not valid TOML: Invalid value"]
    assert faults(tmp_path, '[sip]\nhost = "') == ["2: not valid TOML: Unterminated string"]


def test_text_that_is_not_utf_8_has_its_line(tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(b'[sip]\nhost = "\xff"\n')
    with pytest.raises(InvalidInput, match=r"toml:2: not UTF-8 \(save it as UTF-8 text\)"):
        load(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[sip]\nprot = 1\n", "2: sip.prot: unknown key (did you mean `port`?)"),
        ("[spi]\n", "1: spi: unknown key (did you mean `sip`?)"),
        ("root = '/'\n", "1: root: unknown key"),
        ("[log]\nzzz = 1\n", "2: log.zzz: unknown key (known here: format, level, transcripts)"),
        ("[speech.en]\nvoise = 'x'\n", "2: speech.en.voise: unknown key (did you mean `voice`?)"),
        ("[[trunk]]\nname = 'a'\nhost = 'h'\n[trunk.limits]\ncalls_per_our = 1\n",
         "5: trunk.0.limits.calls_per_our: unknown key (did you mean `calls_per_hour`?)"),
        ("[http]\nport = '80'\n", "2: http.port: must be a whole number, not text in quotes"),
        ("[sip]\ntcp = 1\n", "2: sip.tcp: must be true or false, not a whole number"),
        ("[sip]\nallow = '192.0.2.0/24'\n", "2: sip.allow: must be a list, not text in quotes"),
        ("[sip]\nallow = [\n  1,\n]\n", "3: sip.allow.0: must be text in quotes, not a whole number"),
        ("sip = 5\n", "1: sip: must be a table, not a whole number"),
        ("[number]\npattern = '400'\n", "1: number: must be a list, not a table"),
        ("[http]\nport = 0\n", "2: http.port: 0 is out of range: must be at least 1"),
        ("[http]\nport = 65536\n", "2: http.port: 65536 is out of range: must be at most 65535"),
        ("[hearing]\nvad_threshold = 2\n", "2: hearing.vad_threshold: 2 is out of range: must be at most 0.95"),
        ("[hearing]\nvad = 'silerro'\n",
         "2: hearing.vad: `silerro` is not one of webrtc, silero (did you mean `silero`?)"),
        ("[sip]\ncodecs = ['PCMU', 'opus']\n", "2: sip.codecs.1: `opus` is not one of G722, PCMU, PCMA"),
        ("[speech.english]\nvoice = 'piper'\n", "1: speech.english: `english` has not the form ^[a-z]{2}$"),
        ("[speech.en]\n[speech.zh]\nvoice = 'sam'\n", "3: speech.zh.voice: `sam` is not one of pyttsx3, piper"),
        ("[[number]]\npattern = '1'\n", "1: number.0.plan: is missing (add plan = ...)"),
        ("[[number]]\npattern = ''\nplan = 'x'\n", "2: number.0.pattern: is too short (at least 1)"),
        ("[sip]\nallow = ['here']\n", "2: sip.allow.0: `here` is not a network (write it like 192.0.2.0/24)"),
        ("[sip]\nallow = ['10.0.0.1/8']\n", "2: sip.allow.0: `10.0.0.1/8` is not a network"),
        ("[sip]\npublic_address = 'me'\n", "2: sip.public_address: `me` is not an IP address (like 192.0.2.7)"),
        ("[sip]\ncodecs = []\n", "2: sip.codecs: no codec (list PCMU at least)"),
        ("[sip]\nrtp_port = 65500\n", "2: sip.rtp_port: 200 ports for each line process do not fit above it"),
        ("[[number]]\npattern = '4 0'\nplan = 'x'\n", "2: number.0.pattern: `4 0` is no number pattern"),
        ("[[number]]\npattern = '4.0'\nplan = 'x'\n", "2: number.0.pattern: `4.0` is no number pattern"),
        (NUMBER + NUMBER, "5: number.1.pattern: a second number with pattern `400` (give it another one)"),
        ("[hearing]\nwait_ms = 100\n",
         "2: hearing.wait_ms: the waits are out of order (complete_ms <= finished_ms <= wait_ms <= partial_ms)"),
    ],
)  # fmt: skip
def test_each_fault_is_told_with_line_field_and_mend(tmp_path, text, told):
    found = faults(tmp_path, text if "number" in text else text + NUMBER)
    assert len(found) == 1
    assert found[0].startswith(told)


TRUNK = "[[trunk]]\nname = 'main'\nhost = '192.0.2.1'\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TRUNK + TRUNK, "5: trunk.1.name: a second trunk with name `main`"),
        (TRUNK + "register = true\n", "4: trunk.0.register: registering needs a user"),
        (TRUNK + "password_env = 'NOT_SET_ANYWHERE'\n",
         "4: trunk.0.password_env: the environment has no NOT_SET_ANYWHERE (export NOT_SET_ANYWHERE=...)"),
        (TRUNK + "prefixes = ['+49', '0 12']\n", "4: trunk.0.prefixes.1: `0 12` is no prefix"),
        ("[[trunk]]\nname = 'Main!'\nhost = 'h'\n", "2: trunk.0.name: `Main!` has not the form"),
        ("[[agent]]\nname = 'anna'\nuri = 'anna'\n", "3: agent.0.uri: `anna` has not the form"),
    ],
)  # fmt: skip
def test_faults_of_trunks_and_agents(tmp_path, text, told):
    found = faults(tmp_path, text + NUMBER)
    assert len(found) == 1
    assert found[0].startswith(told)


BACKEND = "[[backend]]\nname = 'core'\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BACKEND, "1: backend.0.url: is missing"),
        (BACKEND + "url = 'https://a'\n" + BACKEND + "url = 'https://a'\n",
         "5: backend.1.name: a second backend with name `core`"),
        (BACKEND + "url = 'core.example'\n", "3: backend.0.url: `core.example` is no URL of a back end (like https://"),
        (BACKEND + "url = 'ftp://core.example'\n", "3: backend.0.url: `ftp://core.example` is no URL"),
        (BACKEND + "url = 'https://core.example/?key=1'\n", "3: backend.0.url: `https://core.example/"),
        (BACKEND + "url = 'https://core.example/#a'\n", "3: backend.0.url: "),
        (BACKEND + "url = 'https://core.example/a/../b'\n", "3: backend.0.url: "),
        (BACKEND + "url = 'https://core.example//a'\n", "3: backend.0.url: "),
        (BACKEND + "url = 'https://core..example'\n", "3: backend.0.url: "),
        (BACKEND + "url = 'https://core.example\\b'\n", "3: backend.0.url: "),
        (BACKEND + "url = 'https:///a'\n", "3: backend.0.url: "),
        (BACKEND + "url = ' https://core.example'\n", "3: backend.0.url: "),
        (BACKEND + "url = 'https://me:hush@core.example'\n",
         "3: backend.0.url: a URL with a user or password in it (take it out; token_env names"),
        (BACKEND + "url = 'https://127.1'\n", "3: backend.0.url: `127.1` is not an IP address (four numbers like"),
        (BACKEND + "url = 'https://0x7f000001'\n", "3: backend.0.url: `0x7f000001` is not an IP address"),
        (BACKEND + "url = 'https://[::1::]'\n", "3: backend.0.url: `[::1::]` is not an IP address"),
        (BACKEND + "url = 'https://core.example:0'\n", "3: backend.0.url: 0 is no port (from 1 to 65535)"),
        (BACKEND + "url = 'https://core.example:65536'\n", "3: backend.0.url: 65536 is no port"),
        (BACKEND + "url = 'https://a'\nnetworks = ['10.0.0.0/8', '10.0.0.1/8']\n",
         "4: backend.0.networks.1: `10.0.0.1/8` is not a network (write it like 10.1.0.0/16)"),
        (BACKEND + "url = 'https://a'\ncalls_at_once = 0\n", "4: backend.0.calls_at_once: 0 is out of range"),
        (BACKEND + "url = 'https://a'\ntimeout_s = 61\n", "4: backend.0.timeout_s: 61 is out of range"),
    ],
)  # fmt: skip
def test_faults_of_backends(tmp_path, text, told):
    found = faults(tmp_path, text + NUMBER)
    assert len(found) == 1
    assert found[0].startswith(told)
    assert "hush" not in found[0]


@pytest.mark.parametrize(
    "url",
    ["https://core.example", "http://core:8080/", "https://core_2.bank.example/api/v1.2/", "http://[::1]:8090",
     "http://192.0.2.7", "https://4you.example", "https://xn--lhr59c.example", "http://a/.well-known/b..c"],
)  # fmt: skip
def test_urls_of_backends(tmp_path, url):
    path = tmp_path / "config.toml"
    path.write_text(NUMBER + BACKEND + f"url = '{url}'\n")
    (backend,) = load(path).backend
    assert (backend.url, backend.networks, backend.timeout_s, backend.calls_at_once) == (url, (), 3, 8)


def test_no_number_at_all_is_refused(tmp_path):
    assert faults(tmp_path, "") == ['number: no number is served (add [[number]] with pattern = "400" and a plan)']


def test_every_fault_is_told_at_once_in_the_order_of_the_file(tmp_path):
    text = (
        "[sip]\nport = 'x'\nhots = 'y'\n"
        "[[number]]\nplan = 1\n"
        "[[number]]\npattern = '2'\nplan = 'x'\nlanguage = 'zh'\n"
        "[[number]]\npattern = '3'\nplan = 'x'\nlanguage = 'German'\n"
        "[speech.en]\nvoice = 'sam'\n[speech.zh]\nrate_wpm = 1\n"
    )
    assert [fault.split(" ")[0] + " " + fault.split(" ")[1] for fault in faults(tmp_path, text)] == [
        "2: sip.port:",
        "3: sip.hots:",
        "4: number.0.pattern:",
        "5: number.0.plan:",
        "13: number.2.language:",
        "15: speech.en.voice:",
        "17: speech.zh.rate_wpm:",
    ]


def test_secrets_come_from_the_environment_only(monkeypatch):
    monkeypatch.setenv("TRUNK_PASSWORD", "hush")
    assert secret("TRUNK_PASSWORD") == "hush"
    assert secret("TRUNK_PASSWORD_UNSET") == ""
    assert secret("") == ""
