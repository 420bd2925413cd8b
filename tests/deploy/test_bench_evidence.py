"""The bench of evidence packs, a few changes long: it counts, and its month follows."""

from __future__ import annotations

import pytest

from core.errors import Misconfigured
from deploy.benches import evidence
from store import evidencefile


def test_a_few_changes_are_all_found_and_the_month_follows() -> None:
    bytes_, rate = evidence.measure(3, 60, 20 * evidence.MINUTE_US)
    assert (bytes_.name, bytes_.value, bytes_.met) == (evidence.NAMES[0], 0, True)
    assert rate.value > 1000
    figure = evidencefile.load()(evidence.pack(3, 15 * evidence.MINUTE_US))
    assert dict(figure.told)["intensity"].endswith(" kgce/t")


def test_a_checker_that_sees_nothing_is_told_apart() -> None:
    class Blind:
        problems: tuple[str, ...] = ()

    pack = evidence.pack(1, 60 * evidence.MINUTE_US)
    assert len(evidence.missed(pack, 10, 1, lambda _: Blind())) == 10


def test_a_seed_without_sense_is_refused() -> None:
    with pytest.raises(Misconfigured, match="--seed"):
        evidence.measure(-1)
