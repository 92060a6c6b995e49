"""Models in files: what is written is what is read, and what is damaged is refused with its name."""

from __future__ import annotations

import numpy as np
import pytest

from ivr.errors import InvalidInput
from ivr.intents import cli, files
from ivr.understanding.intents import Example, Model
from ivr.understanding.training import train

SAID = {
    "en": {
        "card": ["block my card", "my card is lost", "stop my card"],
        "money": ["my balance", "money left", "funds"],
    },
    "zh": {"card": ["我的卡丢了", "挂失", "停掉我的卡"], "money": ["查余额", "还有多少钱", "看看余额"]},
}
ASKED = {"en": "please block the card", "zh": "我的银行卡丢了"}


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return {
        language: train([Example(t, i, language) for i, each in said.items() for t in each], language)
        for language, said in SAID.items()
    }


@pytest.fixture
def file(models, tmp_path):
    files.save(models["en"], tmp_path / "a.en.npz")
    return tmp_path / "a.en.npz"


@pytest.mark.parametrize("language", SAID)
def test_a_model_decides_the_same_after_it_was_written_and_read(models, tmp_path, language):
    files.save(models[language], tmp_path / "a.npz")
    read = files.load(tmp_path / "a.npz")
    assert read.version == models[language].version
    assert read.decide([(ASKED[language], 0.9)]) == models[language].decide([(ASKED[language], 0.9)])
    assert [f.name for f in tmp_path.iterdir()] == ["a.npz"]


def test_a_model_takes_the_place_of_another_whole_or_not_at_all(models, file, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        files.save(models["zh"], file)
    assert files.load(file).version == models["en"].version
    assert [f.name for f in file.parent.iterdir()] == [file.name]


def test_half_a_file_or_a_changed_byte_is_refused(file):
    whole = file.read_bytes()
    for content in (b"", b"no model", whole[: len(whole) // 2], whole[:-30]):
        file.write_bytes(content)
        with pytest.raises(InvalidInput, match=r"a\.en\.npz: no usable model of intents.*ivr intents train"):
            files.load(file)
    middle = len(whole) // 2
    file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :])
    with pytest.raises(InvalidInput, match="no usable model"):
        files.load(file)
    with pytest.raises(InvalidInput, match="no such model"):
        files.load(file.with_name("b.npz"))


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("weights", lambda a: a[:-1], "`weights` is float32"),
        ("bars", lambda a: a.astype(np.float64), "`bars` is float64"),
        ("mean", lambda a: a * np.nan, "`mean` holds what is no number"),
        ("labels", lambda a: a + 9, "`labels` leads beyond 2"),
        ("word.starts", lambda a: a[::-1].copy(), "`word.starts` does not ascend"),
        ("word.holders", lambda a: a + 99, "`word.holders` leads beyond"),
        ("header", lambda a: a[:-1], "no usable model"),
    ],
)
def test_arrays_that_do_not_fit_one_another_are_refused(file, name, change, says):
    with np.load(file) as found:
        arrays = dict(found)
    np.savez(file, **arrays | {name: change(arrays[name])})
    with pytest.raises(InvalidInput, match=says):
        files.load(file)


def test_objects_are_never_unpickled(file):
    with np.load(file) as found:
        arrays = dict(found)
    np.savez(file, **arrays | {"mean": np.array([print], dtype=object)})
    with pytest.raises(InvalidInput, match="no usable model"):
        files.load(file)


def test_what_train_writes_test_asks(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("".join(f"{t},{i}\n" for i, each in SAID["en"].items() for t in each), "utf-8")
    assert cli.main(["train", str(tmp_path / "a.csv"), "--out", str(tmp_path / "models")]) == 0
    assert f"written to {tmp_path}/models/a.en.npz" in capsys.readouterr().out
    assert cli.main(["test", "please block the card", "--model", str(tmp_path / "models" / "a.en.npz")]) == 0
    assert capsys.readouterr().out.startswith("intent: card, confidence")
