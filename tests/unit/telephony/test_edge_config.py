"""The text that Kamailio is given: values escaped, and accepted by Kamailio itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ivr.telephony.edge_config import EdgeSettings, Target, files, kamailio_config, quoted

KAMAILIO = shutil.which("kamailio", path="/usr/sbin:/usr/local/sbin")


def settings(folder: Path, **replaced) -> EdgeSettings:
    usual = {
        "hosts": ("127.0.0.1",), "port": 26_990, "tcp": True, "inside": "127.0.0.1",
        "inside_port": 26_999, "public_address": "",
        "allow": ("127.0.0.1/32", "10.0.0.0/8"), "flood_per_second": 20, "line_ports": (26_991, 26_992),
        "targets": (Target("sip.example.net", 5060), Target("192.0.2.7", 5062)), "registers": True,
        "runtime": folder, "user_agent": "ivr",
    }  # fmt: skip
    return EdgeSettings(**usual | replaced)


def accepted(given: EdgeSettings) -> tuple[bool, str]:
    for path, text in files(given).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run(
        [KAMAILIO, "-c", "-f", given.config_path, "-Y", given.runtime], capture_output=True, text=True, check=False
    )
    return done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "replaced",
    [
        {},
        {"tcp": False, "registers": False, "targets": ()},
        {"public_address": "198.51.100.7"},
        {"hosts": ("127.0.0.1", "127.0.0.2"), "allow": ("0.0.0.0/0", "2001:db8::/32")},
        {"hosts": ("::1",), "inside": "::1", "targets": (Target("2001:db8::7", 5060),)},
        {"user_agent": 'a "quoted" \\ agent $ua #!ifdef'},
        {"line_ports": tuple(range(26_000, 26_064))},
    ],
)
def test_kamailio_accepts_it(tmp_path, replaced):
    assert KAMAILIO, "Kamailio is missing: sudo apt-get install kamailio"
    good, said = accepted(settings(tmp_path, **replaced))
    assert good, said


def test_every_line_and_target_is_known_to_the_proxy(tmp_path):
    written = files(settings(tmp_path))
    config = written[tmp_path / "kamailio.cfg"]
    assert "$sht(lines=>127.0.0.1:26991) = 1;" in config
    assert "$sht(lines=>127.0.0.1:26992) = 1;" in config
    assert "$sht(targets=>sip.example.net:5060) = 1;" in config
    assert '"127.0.0.1/32,10.0.0.0/8"' in config
    assert written[tmp_path / "dispatcher.list"] == "1 sip:127.0.0.1:26991 0 0\n1 sip:127.0.0.1:26992 0 0\n"


def test_without_a_registering_trunk_the_proxy_has_no_client(tmp_path):
    assert 'loadmodule "uac.so"' not in kamailio_config(settings(tmp_path, registers=False))


def test_the_public_address_is_advertised(tmp_path):
    config = kamailio_config(settings(tmp_path, public_address="198.51.100.7"))
    assert "listen=udp:127.0.0.1:26990 advertise 198.51.100.7:26990" in config
    assert '"reg_contact_addr", "198.51.100.7:26990"' in config


@pytest.mark.parametrize(
    "replaced",
    [
        {"hosts": ("127.0.0.1\nchildren=99",)},
        {"public_address": 'x" advertise'},
        {"allow": ('0.0.0.0/0") || (1 == 1',)},
        {"targets": (Target("evil]) = 1; }", 5060),)},
        {"user_agent": "two\nlines"},
        {"runtime": Path("/tmp/a\nb")},
    ],
)
def test_values_that_would_break_out_are_refused(tmp_path, replaced):
    with pytest.raises(ValueError, match=r"\S"):
        kamailio_config(settings(tmp_path, **replaced))


def test_quoting():
    assert quoted('a "b" \\c') == '"a \\"b\\" \\\\c"'
    with pytest.raises(ValueError, match="control"):
        quoted("a\0b")
