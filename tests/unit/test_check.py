"""`ivr check`: what it finds, how it says it, and what it says will serve."""

from __future__ import annotations

import io
import shutil
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ivr import check

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A folder with the shipped configuration on ports of its own, the shipped plans and models."""
    monkeypatch.setenv("IVR_TOKEN", "hush")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "dialplans", tmp_path / "dialplans")
    shutil.copytree(ROOT / "audio_prompts", tmp_path / "audio_prompts")
    (tmp_path / "models").symlink_to(ROOT / "models")
    text = (ROOT / "config.toml").read_text("utf-8")
    text = text.replace("port = 5060", f"port = {free_port()}").replace("port = 8080", f"port = {free_port()}")
    (tmp_path / "config.toml").write_text(text, "utf-8")
    return tmp_path


def change(house: Path, old: str, new: str, file: str = "config.toml") -> int:
    """Replace `old`, which must be there once, and return the line it is on."""
    path = house / file
    text = path.read_text("utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), "utf-8")
    return text[: text.index(old)].count("\n") + 1


def run(*arguments: str) -> tuple[int, list[str]]:
    out = io.StringIO()
    return check.main(list(arguments), out), out.getvalue().splitlines()


def test_the_shipped_house_is_good_and_says_what_will_serve(house):
    status, said = run()
    assert status == 0, said
    told = [line for line in said if not line.startswith("note:")]
    assert told[0] == "all good: config.toml"
    assert told[1].split()[:3] == ["400", "plan", "main"]
    assert told[1].endswith("in en: hears with whisper whisper-tiny-en, speaks with pyttsx3")
    assert told[2].endswith("in zh: hears with whisper whisper-base, speaks with pyttsx3")
    assert [line.split()[:3] for line in told[3:5]] == [["500", "plan", "bank"], ["501", "plan", "bank"]]
    assert "UDP and TCP, 1 line process, from 127.0.0.1/32" in told[5]
    assert told[-1].endswith("sqlite:///var/ivr.db, kept 90 days")


def test_checksums_are_compared_when_asked(house):
    assert run("--deep")[0] == 0


def test_a_missing_file_is_told(house):
    assert run("--config", "none.toml") == (1, ["none.toml: no such file (give the path with --config)", "1 problem"])


def test_faults_of_the_configuration_and_of_plans_are_told_together(house):
    line = change(house, "processes = 1", "proceses = 1")
    change(house, "start: welcome", "start: wellcome", "dialplans/main.yaml")
    status, said = run()
    assert status == 1
    assert said[0] == f"config.toml:{line}: lines.proceses: unknown key (did you mean `processes`?)"
    assert any(told.startswith("dialplans/main.yaml:") and "wellcome" in told for told in said[1:])


def test_a_plan_that_is_not_there_and_a_language_it_does_not_speak(house):
    first = change(house, 'pattern = "400"\nplan = "main"', 'pattern = "400"\nplan = "mian"') + 1
    second = change(house, 'plan = "main"\nlanguage = "zh"', 'plan = "main"\nlanguage = "ko"') + 1
    status, said = run()
    assert status == 1
    assert said[:2] == [
        f"config.toml:{first}: number.0.plan: there is no plan `mian`"
        " (there are: bank, identity, main, verify; a plan is the file dialplans/mian.yaml)",
        f"config.toml:{second}: number.1.language: plan `main` does not speak `ko` (it speaks en, zh)",
    ]


def test_a_number_whose_plan_is_faulty_is_not_told_twice(house):
    change(house, "start: welcome", "start: wellcome", "dialplans/main.yaml")
    status, said = run()
    assert status == 1
    assert not [told for told in said if told.startswith("config.toml")]


def test_a_language_without_a_model_names_what_to_pull(house):
    (house / "models").unlink()
    (house / "models").mkdir()
    status, said = run()
    assert status == 1
    assert [told for told in said if "speech.en" in told and "ivr models pull" in told]
    assert [told for told in said if "speech.zh" in told and "ivr models pull" in told]


def test_a_damaged_model_is_found_by_its_size(house):
    (house / "models").unlink()
    for name in ("whisper-tiny-en", "whisper-base"):
        (house / "models" / name).mkdir(parents=True)
        for file in (ROOT / "models" / name).iterdir():
            (house / "models" / name / file.name).symlink_to(file)
    shutil.copy(ROOT / "models" / "manifest.toml", house / "models")
    broken = house / "models" / "whisper-base" / "tokenizer.json"
    broken.unlink()
    broken.write_text("{}")
    status, said = run()
    assert status == 1
    assert any("model whisper-base: tokenizer.json has 2 bytes" in told for told in said)
    assert any("(ivr models pull whisper-base)" in told for told in said)


def test_a_piper_voice_that_is_not_there(house):
    change(house, '[speech.zh]\nrecognizer = "auto"\nvoice = "pyttsx3"', '[speech.zh]\nvoice = "piper"')
    status, said = run()
    assert status == 1
    assert any("speech.zh.voice: no Piper voice for `zh`" in told for told in said)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[http]", '[store]\nurl = "mysql://x/y"\n[http]', "store.url: no support for mysql"),
        ("[http]", '[store]\nurl = "sqlite:////proc/x/ivr.db"\n[http]', "store.url: /proc cannot be written to"),
        ("[http]", '[store]\nrecordings = "config.toml"\n[http]', "store.recordings: "),
        ("[http]", '[[agent]]\nname = "anna"\nuri = "sip:anna@"\n[http]', "agent.0.uri: "),
        ('host = "127.0.0.1"          # l', 'host = "192.0.2.1"  # l', "sip.host: cannot listen on 192.0.2.1"),
    ],
    ids=["database", "folder", "no-folder", "agent", "address"],
)  # fmt: skip
def test_other_faults(house, old, new, told):
    change(house, old, new)
    status, said = run()
    assert status == 1
    assert any(told in line and line.startswith("config.toml:") for line in said), said


def test_a_port_in_use_is_told(house):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        path = house / "config.toml"
        text = path.read_text("utf-8").splitlines()
        place = next(i for i, line in enumerate(text) if line.startswith("port ="))
        text[place] = f"port = {port}"
        path.write_text("\n".join(text), "utf-8")
        status, said = run()
    assert status == 1
    told = f"config.toml:{place + 1}: sip.port: port {port} of 127.0.0.1 is in use"
    assert said[0].startswith(told)


def test_ports_are_left_alone_while_the_server_runs(house):
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"version": "9.9", "state": "ready"}')

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        path = house / "config.toml"
        head, tail = path.read_text("utf-8").split("[http]")
        path.write_text(head + f"[http]\nport = {server.server_port}\n" + tail[tail.index("token_env") :])
        status, said = run()
        server.shutdown()
        thread.join()
    assert status == 0, said
    assert f"note: a server (ivr 9.9) runs on 127.0.0.1:{server.server_port}: ports not tried" in said


def test_what_is_worth_knowing_but_keeps_nothing_from_serving(house, monkeypatch):
    monkeypatch.delenv("IVR_TOKEN")
    status, said = run()
    assert status == 0
    assert "note: IVR_TOKEN is not set: the HTTP API refuses everything but health (export IVR_TOKEN=...)" in said


BACKEND = """[[backend]]
name = "core"
url = "http://core.example:8090"
token_env = "CORE_TOKEN"
webhook_secret_env = "CORE_WEBHOOK_SECRET"
[http]"""
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def test_a_backend_serves_without_its_secrets_and_that_is_noted(house, monkeypatch):
    change(house, "[http]", BACKEND)
    for name in ("CORE_TOKEN", "CORE_WEBHOOK_SECRET"):
        monkeypatch.delenv(name, raising=False)
    status, said = run()
    assert status == 0, said
    assert "note: backend core: CORE_TOKEN is not set, so nothing is sent there" in said
    assert "note: backend core: CORE_WEBHOOK_SECRET is not set, so it is not notified" in said
    assert "note: backend core: its token crosses the network in clear text; use https" in said
    assert "  backend      core: http://core.example:8090" in said
    monkeypatch.setenv("CORE_TOKEN", "hush")
    monkeypatch.setenv("CORE_WEBHOOK_SECRET", SECRET)
    change(house, "http://core.example:8090", "https://core.example:8090")
    assert not [line for line in run()[1] if line.startswith("note: backend")]


def test_a_step_that_could_not_be_sent_is_told(house):
    change(house, "    path: /branches\n", "    path: /../branches/{near}\n", "dialplans/bank.yaml")
    change(house, 'name = "bank"', 'name = "bonk"')
    status, said = run()
    assert status == 1
    assert any(line.endswith("find_branch.path: the path has .. in it (like /cards/{card})") for line in said), said
    assert any(line.endswith("there is no back end `bank` (did you mean `bonk`?)") for line in said), said


def test_a_webhook_secret_that_is_none_is_told_and_not_shown(house, monkeypatch):
    line = change(house, "[http]", BACKEND) + 4
    monkeypatch.setenv("CORE_WEBHOOK_SECRET", "hush")
    status, said = run()
    assert status == 1
    assert said[0].startswith(
        f"config.toml:{line}: backend.1.webhook_secret_env: a webhook secret begins with whsec_"
        ' (export CORE_WEBHOOK_SECRET="whsec_$(openssl rand -base64 32)")'
    )
    assert "hush" not in "\n".join(said)


@pytest.mark.parametrize(
    ("host", "told", "mend"),
    [
        ("10.1.2.3", "10.1.2.3 is private, not public", 'networks = ["10.1.2.3/32"]'),
        ("[::1]", "::1 is loopback, not public", 'networks = ["::1/128"]'),
    ],
)
def test_a_backend_at_an_address_that_is_not_listed(house, host, told, mend):
    line = change(house, "[http]", BACKEND) + 2
    change(house, "core.example", host)
    status, said = run()
    assert status == 1
    assert said[0] == f"config.toml:{line}: backend.1.url: {told} ({mend} when that is meant)"
    change(house, f'{host}:8090"', f'{host}:8090"\n{mend}')
    assert run()[0] == 0


def test_a_transfer_to_nobody_is_noted_until_there_is_an_agent(house):
    notes = [line for line in run()[1] if "cannot be dialled: no [[agent]] has that name" in line]
    assert [note.split(":")[1] for note in notes] == [" plan bank, step transfer"] * 2 + [" plan main, step to_agent"]
    names = sorted({note.split("`")[1] for note in notes})
    agents = "".join(f'[[agent]]\nname = "{name}"\nuri = "sip:{name}@127.0.0.1:5090"\n' for name in names)
    change(house, "[http]", f"{agents}[http]")
    status, said = run()
    assert status == 0, said
    assert not [line for line in said if "cannot be dialled" in line]


def test_a_broken_recording_is_told(house):
    (house / "audio_prompts" / "en").mkdir(exist_ok=True)
    (house / "audio_prompts" / "en" / "apology.wav").write_bytes(b"no sound")
    status, said = run()
    assert status == 1
    assert any(told.startswith("audio_prompts/en/") for told in said)


def test_a_value_that_is_not_of_its_kind_is_named_at_its_line(house):
    path = house / "dialplans" / "main.yaml"
    text = path.read_text("utf-8")
    line = next(n for n, row in enumerate(text.splitlines(), 1) if row.strip().startswith("en: "))
    rows = text.splitlines()
    rows[line - 1] = rows[line - 1].split("en: ")[0] + 'en: "You owe {money:lots}."'
    path.write_text("\n".join(rows) + "\n", "utf-8")
    status, said = run()
    assert status != 0
    (told,) = [row for row in said if "{money:lots}" in row]
    assert f"main.yaml:{line}" in told
    assert "1234.50 CNY" in told


def test_outbound_calls_say_what_they_lack(house, monkeypatch):
    monkeypatch.setenv("IVR_EVIDENCE_KEY", "A" * 43 + "=")
    monkeypatch.delenv("IVR_PROOF_KEY", raising=False)
    with (house / "config.toml").open("a") as file:
        file.write("\n[outbound]\ninbound_legs = 4\n[outbound.policies.fraud]\nalways = true\n")
    status, said = run()
    assert status == 0, said
    notes = [line for line in said if line.startswith("note:")]
    assert any("no line is left for them" in note for note in notes)
    assert any("IVR_PROOF_KEY is not set: no verification is taken" in note for note in notes)
