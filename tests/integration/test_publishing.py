"""Publishing with real files and a real SQLite database: swapped at once, or left in force and reported."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ivr import metrics, publishing
from ivr.config import Config
from ivr.errors import InvalidInput
from ivr.health import Health
from ivr.publishing import Publishing, restored, scan
from ivr.store.store import Store

NEEDED = {"bank": frozenset({"en", "zh"})}


def text(greeting: str = "Hello", languages: str = "[en, zh]", call: str = "") -> str:
    step = f"  identity: {{kind: call, plan: {call}, next: bye}}\n" if call else ""
    onward = "identity" if call else "bye"
    return (
        f"languages: {languages}\nstart: ask\nsteps:\n"
        f"  ask: {{kind: ask, prompt: {{en: {greeting}, zh: 您好}}, give_up: bye, next: {onward}}}\n"
        f"{step}  bye: {{kind: hangup, prompt: {{en: Bye, zh: 再见}}}}\n"
    )


class House:
    """A folder of plans, what publishes it, and what was logged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warmed: list[str] = []
        self.write("bank.yaml", text())
        self.publishing = Publishing(folder, NEEDED, self._warm)

    async def _warm(self, plans) -> None:
        self.warmed += [plan.version for plan in plans]

    def write(self, name: str, content: str | bytes) -> Path:
        """As editors do it: another file, renamed over."""
        fresh = self.folder / f".{name}.tmp"
        fresh.write_bytes(content if isinstance(content, bytes) else content.encode())
        return fresh.replace(self.folder / name)

    async def settle(self) -> list[dict]:
        """Look at the folder until it rests; the faults that were logged."""
        with capture_logs() as lines:
            seen = await self.publishing.look({})
            await self.publishing.look(seen)
            await asyncio.gather(*self.publishing._background)
        return [line for line in lines if line["log_level"] == "error"]

    @property
    def version(self) -> str:
        return self.publishing.get("bank").version

    @property
    def words(self) -> str:
        return self.publishing.get("bank").steps["ask"].prompt["en"]


@pytest.fixture
def house(tmp_path):
    folder = tmp_path / "dialplans"
    folder.mkdir()
    house = House(folder)
    house.publishing.load()
    return house


async def test_a_changed_plan_is_in_force_and_calls_keep_theirs(house):
    before = house.publishing.get("bank")
    house.write("bank.yaml", text("Good day"))
    assert await house.settle() == []
    assert house.words == "Good day"
    assert before.steps["ask"].prompt["en"] == "Hello"
    assert house.warmed == [house.version]
    assert house.version.encode() in metrics.render()
    assert before.version.encode() not in metrics.render()


async def test_a_plan_that_did_not_change_stays_the_same_object(house):
    before, since = house.publishing.get("bank"), house.publishing.plans["bank"].since
    house.write("bank.yaml", text())
    house.write("other.yaml", text("Other"))
    assert await house.settle() == []
    assert house.publishing.get("bank") is before
    assert house.publishing.plans["bank"].since == since
    assert set(house.publishing.plans) == {"bank", "other"}


async def test_a_file_that_still_changes_is_waited_for(house):
    seen = await house.publishing.look({})
    house.write("bank.yaml", text("Half")[:-40])
    seen = await house.publishing.look(seen)
    house.write("bank.yaml", text("Whole sentence"))
    seen = await house.publishing.look(seen)
    assert house.words == "Hello"
    await house.publishing.look(seen)
    assert house.words == "Whole sentence"
    assert house.publishing.problems == ()


def _half(house):
    house.write("bank.yaml", text("Better")[: len(text()) // 2])


def _nothing(house):
    house.write("bank.yaml", b"")


def _no_yaml(house):
    house.write("bank.yaml", "steps: [}")


def _binary(house):
    house.write("bank.yaml", bytes(range(256)) * 8)


def _gbk(house):
    house.write("bank.yaml", text().encode("gbk"))


def _huge(house):
    house.write("bank.yaml", "#" + "x" * (5 << 20))


def _nowhere(house):
    house.write("bank.yaml", text().replace("next: bye", "next: by"))


def _monolingual(house):
    house.write("bank.yaml", text(languages="[en]").replace(", zh: 您好", "").replace(", zh: 再见", ""))


def _deleted(house):
    (house.folder / "bank.yaml").unlink()


def _folder(house):
    _deleted(house)
    (house.folder / "bank.yaml").mkdir()


def _dangling(house):
    _deleted(house)
    (house.folder / "bank.yaml").symlink_to("nowhere.yaml")


def _circle(house):
    _deleted(house)
    (house.folder / "bank.yaml").symlink_to("bank.yaml")


def _all_gone(house):
    shutil.rmtree(house.folder)


def _second(house):
    house.write("aaa.yaml", "plan: bank\n" + text("Mine"))


def _knowledge(house):
    house.write("bank.knowledge.yaml", "entries: 7")


FAULTS = [
    _half, _nothing, _no_yaml, _binary, _gbk, _huge, _nowhere, _monolingual, _deleted, _folder, _dangling, _circle,
    _all_gone, _second, _knowledge,
]  # fmt: skip


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda f: f.__name__.strip("_"))
async def test_a_plan_with_faults_leaves_the_version_before_it_in_force(house, spoil):
    before = house.publishing.get("bank")
    spoil(house)
    faults = await house.settle()
    assert house.publishing.get("bank") is before
    assert faults
    assert all(fault["event"] == "dialplan fault" and fault["file"] and fault["fault"] for fault in faults)
    assert house.publishing.problems
    assert await house.settle() == []
    await house.publishing.reload()
    assert house.warmed == []


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda f: f.__name__.strip("_"))
async def test_what_was_spoilt_can_be_mended(house, spoil):
    spoil(house)
    await house.settle()
    shutil.rmtree(house.folder, ignore_errors=True)
    house.folder.mkdir()
    house.write("bank.yaml", text("Mended"))
    assert await house.settle() == []
    assert (house.words, house.publishing.problems) == ("Mended", ())


async def test_what_may_not_be_read_is_a_fault(house, monkeypatch):
    before, opened = house.version, Path.open

    def refuse(path, *arguments, **options):
        if path.name == "bank.yaml":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    (house.folder / "bank.yaml").chmod(0)
    (fault,) = await house.settle()
    assert "permission denied" in fault["fault"]
    assert house.version == before
    monkeypatch.undo()
    (house.folder / "bank.yaml").chmod(0o644)
    await house.settle()
    assert house.publishing.problems == ()


async def test_health_tells_the_plans_and_their_faults(house):
    health = Health(Config(), house.publishing)
    house.write("other.yaml", text("Other"))
    assert [plan.name for plan in (await health.reload()).loaded] == ["other"]
    _nowhere(house)
    answer = await health.reload()
    assert (answer.loaded, len(answer.problems)) == ((), 1)
    bank, other = health.status().plans
    assert (bank.version, bank.languages, bank.steps) == (house.version, ("en", "zh"), 3)
    assert "there is no step `by`" in bank.faults[0]
    assert other.faults == ()
    assert health.status().plan_problems == answer.problems


async def test_a_plan_that_no_number_uses_goes_with_its_file(house):
    house.write("other.yaml", text("Other"))
    await house.settle()
    (house.folder / "other.yaml").unlink()
    assert await house.settle() == []
    assert house.publishing.get("other") is None


async def test_a_plan_that_is_gone_says_so_until_it_is_back(house):
    _deleted(house)
    await house.settle()
    assert house.publishing.plans["bank"].gone
    house.write("bank.yaml", text())
    await house.settle()
    assert not house.publishing.plans["bank"].gone


async def test_the_same_fault_in_other_content_is_logged_again(house):
    _nothing(house)
    assert len(await house.settle()) == 1
    house.write("bank.yaml", "# nothing either\n")
    assert len(await house.settle()) == 1


async def test_many_faults_are_bounded_in_the_log(house):
    for i in range(publishing.MAX_LOGGED + 20):
        house.write(f"p{i}.yaml", "")
    faults = await house.settle()
    assert len(faults) == publishing.MAX_LOGGED + 1
    assert faults[-1]["faults"] == 20
    assert len(house.publishing.problems) == publishing.MAX_LOGGED + 20


async def test_what_editors_leave_is_not_looked_at(house):
    seen = scan(house.folder)
    for name in (".bank.yaml.swp", ".#bank.yaml", "bank.yaml~", "#bank.yaml#", "4913", ".bank.yaml", "bank.yaml.bak"):
        (house.folder / name).write_text("{")
    (house.folder / ".#other.yaml").symlink_to("me@host.4711")
    assert scan(house.folder) == seen
    await house.publishing.reload()
    assert house.publishing.problems == ()


async def test_two_files_changed_at_once_are_one_change(house):
    called = text("Who are you").replace("kind: hangup, prompt: {en: Bye, zh: 再见}", "kind: return")
    house.write("identity.yaml", called)
    house.write("bank.yaml", text("Welcome", call="identity"))
    assert await house.settle() == []
    plan = house.publishing.get("bank")
    assert plan.steps["identity/ask"].prompt["en"] == "Who are you"
    house.write("identity.yaml", called.replace("Who are you", "Your name"))
    await house.settle()
    assert house.publishing.get("bank").steps["identity/ask"].prompt["en"] == "Your name"
    assert plan.steps["identity/ask"].prompt["en"] == "Who are you"
    before = house.publishing.get("bank")
    house.write("identity.yaml", called.replace("next: bye", "next: nowhere"))
    house.write("bank.yaml", text("Another", call="identity"))
    assert await house.settle()
    assert house.publishing.get("bank") is before


async def test_a_failing_loader_leaves_everything_in_force(house, monkeypatch):
    def fail(_folder):
        raise MemoryError

    monkeypatch.setattr(publishing, "load_all", fail)
    house.write("bank.yaml", text("New"))
    assert [line["event"] for line in await house.settle()] == [
        "the dialplans could not be loaded; those in force stay"
    ]
    assert house.words == "Hello"


@pytest.mark.parametrize("spoil", [_half, _deleted, _monolingual, _second, _all_gone])
def test_a_server_does_not_start_without_a_plan_that_a_number_needs(tmp_path, spoil):
    (tmp_path / "dialplans").mkdir()
    house = House(tmp_path / "dialplans")
    spoil(house)
    with pytest.raises(InvalidInput, match=r"plan `bank` is not there, has faults, or lacks a language"):
        house.publishing.load()


async def test_every_version_published_can_be_read_again(house, tmp_path):
    store = Store("sqlite:///ivr.db", tmp_path)
    await store.open()
    running = asyncio.create_task(house.publishing.run(store))
    await asyncio.sleep(0)
    first = house.version
    house.write("bank.knowledge.yaml", "entries:\n  - id: hours\n    en: {questions: [when], answer: Nine.}\n"
                "    zh: {questions: [几点], answer: 九点。}\n")  # fmt: skip
    house.write("bank.yaml", "\ufeff" + text("Crème").replace("\n", "\r\n"))
    await house.publishing.reload()
    second = house.version
    await store.flush()
    assert {v.version for v in await store.plan_versions("bank")} == {first, second}
    for version in (first, second):
        files = await store.plan_files("bank", version)
        assert restored("bank", version, files).version == version
    assert set(files) == {"bank.yaml", "bank.knowledge.yaml"}
    running.cancel()
    await store.close()


def test_a_version_that_cannot_be_read_any_more_says_so():
    with pytest.raises(InvalidInput, match="cannot be read any more"):
        restored("bank", "1", {"bank.yaml": "steps: {a: {kind: teleport}}"})
    with pytest.raises(InvalidInput):
        restored("bank", "1", {})


def test_a_stored_file_name_leads_nowhere_else(tmp_path):
    outside = tmp_path / "outside.yaml"
    with pytest.raises(InvalidInput):
        restored("bank", "1", {os.path.relpath(outside, "/tmp"): "x", str(outside): "x"})
    assert not outside.exists()
