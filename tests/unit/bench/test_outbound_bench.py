"""What the bench of outbound calls computes, and how its customers answer."""

import random
from types import SimpleNamespace

import pytest

from ivr.bench.outbound import _busy_share, _out_of_order
from ivr.bench.outbound_site import Rung, phones
from ivr.bench.outbound_voice import Customer, plan
from ivr.dialog.plan_file import load
from ivr.outbound.zones import phone_fault


def rung(began_s: float, ended_s: float) -> Rung:
    return Rung("+8613812345678", "", 0.0, began_s, SimpleNamespace(ended_at=ended_s))


def test_lines_are_busy_between_an_invite_and_the_end_of_its_call():
    back_to_back = [rung(0, 10), rung(0, 10), rung(10, 20), rung(10, 20)]
    assert _busy_share(back_to_back, 2) == 1.0
    with_gaps = [rung(0, 8), rung(0, 8), rung(10, 18), rung(10, 18)]
    assert _busy_share(with_gaps, 2) == pytest.approx(0.8)
    assert _busy_share(back_to_back, 4) == 0.5


def test_a_call_that_began_after_one_of_lower_priority_is_out_of_order():
    assert _out_of_order([(0, 9), (1, 9), (2, 5), (2, 5), (3, 0)], 0.0) == 0
    assert _out_of_order([(0, 9), (1, 3), (2, 5), (3, 4)], 0.0) == 2
    assert _out_of_order([(0, 3), (0.1, 5)], 0.25) == 0


def test_every_number_is_one_that_exists_and_every_other_one_is_chinese():
    found = phones(200, random.Random(1))
    assert [phone_fault(phone) for phone, _ in found if phone_fault(phone)] == []
    assert len({phone for phone, _ in found}) == 200
    assert {phone[:3] for phone, language in found if language == "zh"} == {"+86"}
    assert sum(language == "zh" for _, language in found) == 100


@pytest.mark.parametrize(
    ("means", "said"), [("yes", ("yes", "yes", "no")), ("no", ("no", "no", "yes")), ("neither", ("neither",) * 3)]
)
def test_customers_say_what_they_mean_whatever_was_understood(means, said):
    customer = Customer(means, {}, random.Random(1))
    assert tuple(customer.word(step) for step in ("mine", "sure_yes", "sure_no")) == said


def test_the_plan_of_the_voice_bench_holds(tmp_path):
    file = tmp_path / "was_it_you.yaml"
    file.write_text(plan(), "utf-8")
    loaded = load(file)
    assert (loaded.languages, loaded.start) == (("en", "zh"), "mine")
