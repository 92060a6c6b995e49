"""[outbound] of config.toml: what is accepted, and that every fault names its key, line and mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr.config import load
from ivr.config_outbound import Retry
from ivr.errors import InvalidInput

NUMBER = '[[number]]\npattern = "400"\nplan = "main"\n'
GOOD = '[outbound.policies.reminder]\nwindows = ["mon-fri 09:00-20:00"]\n'
KEY = "A" * 43 + "="


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("IVR_EVIDENCE_KEY", KEY)
    monkeypatch.setenv("BANK_KEY", "k" * 24)


def faults(folder: Path, text: str) -> list[str]:
    path = folder / "config.toml"
    path.write_text(NUMBER + text, "utf-8")
    with pytest.raises(InvalidInput) as caught:
        load(path)
    return [str(problem).removeprefix(f"{path}:").lstrip() for problem in caught.value.problems]


def test_without_a_policy_there_is_no_outbound_and_no_key_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("IVR_EVIDENCE_KEY")
    path = tmp_path / "config.toml"
    path.write_text(NUMBER)
    assert load(path).outbound.policies == {}


def test_a_policy_in_full(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(
        NUMBER
        + GOOD
        + 'holidays = ["2026-12-25", "2027-02-06/2027-02-12"]\ncalls_per_second = 0.5\n'
        + "[outbound.policies.reminder.retry]\nbusy_s = [60, 120]\nunknown_s = [300]\n"
        + "[outbound.policies.fraud]\nalways = true\n"
        + '[[outbound.key]]\nname = "bank"\nkey_env = "BANK_KEY"\nscopes = ["jobs:create"]\n',
        "utf-8",
    )
    outbound = load(path).outbound
    assert outbound.policies["reminder"].retry == Retry(busy_s=(60, 120), unknown_s=(300,))
    assert (outbound.policies["fraud"].always, outbound.key[0].scopes) == (True, ("jobs:create",))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[outbound.policies.p]\ngap_s = 5\n", "4: outbound.policies.p.windows: no calling window, so nobody would be "
         'rung (add windows = ["mon-fri 09:00-20:00"], or always = true where nothing may wait)'),
        ('[outbound.policies.p]\nwindows = ["mon 9-17"]\n', "5: outbound.policies.p.windows.0: `mon 9-17` cannot be "
         "read (write it like `mon-fri 09:00-20:00`)"),
        (GOOD + 'holidays = ["Xmas"]\n', "6: outbound.policies.reminder.holidays.0: `Xmas` cannot be read (write it "
         "like 2026-12-25, or 2027-02-06/2027-02-12)"),
        (GOOD + "always = true\n", "6: outbound.policies.reminder.always: windows and always contradict one another "
         "(take one of them out)"),
        (GOOD + 'trunk = "carrier"\n', "6: outbound.policies.reminder.trunk: there is no trunk `carrier` (one of the "
         "[[trunk]] names: none)"),
        (GOOD + "calls_at_onec = 1\n", "6: outbound.policies.reminder.calls_at_onec: unknown key (did you mean "
         "`calls_at_once`?)"),
        (GOOD + "attempts = 0\n", "6: outbound.policies.reminder.attempts: 0 is out of range: must be at least 1"),
        (GOOD + "[outbound.policies.reminder.retry]\nbusy_s = [60, 0]\n", "7: outbound.policies.reminder.retry.busy_s.1"
         ": 0 is out of range: must be at least 1"),
        ("[outbound.amd]\nsilence_ms = 9500\n", "5: outbound.amd.silence_ms: 9500 is more than decide_ms, which is "
         "9000 (lower silence_ms or raise decide_ms)"),
        ("[outbound.amd]\ndecide_ms = 100\n", "5: outbound.amd.decide_ms: 100 is out of range: must be at least 2000"),
        (GOOD + '[[outbound.key]]\nname = "b"\nkey_env = "NO_SUCH"\n', "8: outbound.key.0.key_env: the environment "
         "variable `NO_SUCH` holds no key of 24 characters or more (export NO_SUCH=$(openssl rand -hex 32))"),
        (GOOD + '[[outbound.key]]\nname = "b"\nkey_env = "BANK_KEY"\nscopes = ["jobs:reed"]\n', "9: outbound.key.0."
         "scopes.0: `jobs:reed` is not one of jobs:read, jobs:create, jobs:cancel, jobs:operate (did you mean "
         "`jobs:read`?)"),
    ],
)  # fmt: skip
def test_a_fault_names_its_key_its_line_and_the_mend(tmp_path, text, says):
    assert faults(tmp_path, text) == [says]


def test_with_a_policy_outcomes_must_be_signed(tmp_path, monkeypatch):
    monkeypatch.setenv("IVR_EVIDENCE_KEY", "short")
    assert faults(tmp_path, GOOD) == [
        "outbound.evidence_key_env: the environment variable `IVR_EVIDENCE_KEY` holds no key that outcomes can be "
        "signed with (export IVR_EVIDENCE_KEY=$(openssl rand -base64 32))"
    ]
