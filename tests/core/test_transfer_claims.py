"""The claims of the papers, decided on findings that were made to be clear, opposite, or neither."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.evaluation.bootstrap import Estimate
from core.studies.transferability.claims import CLAIMS, Answer, decide
from core.studies.transferability.findings import OPTIMISERS, TransferFindings
from core.studies.transferability.measures import Measures
from tests.core.transfers import rated, realistic

SURROGATES = ("s", "t")
RISING = np.linspace(0.2, 0.8, len(OPTIMISERS))
"""A success rate for each optimiser."""


def experiment(rates: np.ndarray, sizes: np.ndarray, protocol: str = "equal-loss", **values: Any) -> TransferFindings:
    """Of two surrogates and the seven optimisers, which have these rates and RMSEs on both."""

    def table(row: np.ndarray) -> Mapping[tuple[str, str], float]:
        return {
            (name, attack): float(value) for name in SURROGATES for attack, value in zip(OPTIMISERS, row, strict=True)
        }

    more = {name: table(np.asarray(row)) for name, row in values.items()}
    return rated(table(rates), table(sizes), samples=200, protocol=protocol, **more)


def answer(name: str, *found: TransferFindings) -> Answer:
    (claim,) = (claim for claim in CLAIMS if claim.name == name)
    return claim.answer({one.options.protocol: Measures(one) for one in found})


def test_a_quantity_is_decided_by_its_interval() -> None:
    over, under, between = Estimate(2, 1.5, 3), Estimate(0, -1, 0.5), Estimate(1, 0, 2)
    assert decide([over], 1) == "holds"
    assert decide([under], 1) == "does not hold"
    assert decide([between], 1) == decide([over, between], 1) == decide([], 1) == "undecided"
    assert decide([Estimate(1.5, 1, 2)], 1) == "undecided", "the interval includes the threshold"
    assert decide([over, under], 1, [Estimate(2, 1, 4), Estimate(0, -2, 1.5)]) == "undecided"


def test_every_claim_says_its_source_and_the_number_of_its_criterion() -> None:
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS) == 9
    for claim in CLAIMS:
        assert "arXiv" in claim.source
        number = f"{100 * claim.threshold:g} percentage" if "level" in claim.name else f"{claim.threshold:g}"
        assert number in claim.criterion


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_without_its_experiments_a_claim_is_undecided_and_says_what_is_missing(claim: Any) -> None:
    for found in ({}, {"steps": Measures(realistic("steps", samples=8, attacks=("gd",)))}):
        said = claim.answer(found)
        assert said.verdict == "undecided"
        assert said.sentence.startswith("Not done yet: ")


class TestCorrelates:
    def test_it_holds_where_rates_follow_the_rmse(self) -> None:
        said = answer("correlates", experiment(RISING, RISING / 20))
        assert said.verdict == "holds"
        assert "Spearman's correlation is 1.00 [" in said.sentence
        assert "over 14 pairs of surrogate and optimiser (s 1.00 [" in said.sentence

    def test_it_does_not_hold_where_they_fall_and_is_undecided_where_attacks_are_alike(self) -> None:
        assert answer("correlates", experiment(RISING, RISING[::-1] / 20)).verdict == "does not hold"
        noise = np.array([0.3, 0.31, 0.3, 0.32, 0.31, 0.32, 0.31])
        assert answer("correlates", experiment(noise, RISING / 20)).verdict == "undecided"

    def test_while_an_attack_is_missing_it_is_undecided_and_named(self) -> None:
        whole = experiment(RISING, RISING / 20)
        part = replace(whole, made={key: value for key, value in whole.made.items() if key != ("t", "adam")})
        said = answer("correlates", part)
        assert said.verdict == "undecided"
        assert said.sentence.endswith(" Not done yet: adam on t.")
        assert "over 13 pairs" in said.sentence

    def test_of_some_optimisers_alone_it_is_undecided(self) -> None:
        whole = experiment(RISING, RISING / 20)
        chosen = OPTIMISERS[:4]
        part = {key: value for key, value in whole.made.items() if key[1] in chosen}
        said = answer("correlates", replace(whole, made=part, attacks=chosen))
        assert said.verdict == "undecided"
        assert said.sentence.endswith(" Not among the attacks: l-adam, adabelief, m-svag.")

    def test_an_attack_that_is_hardly_ever_matched_is_left_out_and_named(self) -> None:
        whole = experiment(RISING, RISING / 20)
        rare = replace(whole.made["t", "gd"], matched=np.arange(200) < 90)
        said = answer("correlates", replace(whole, made={**whole.made, ("t", "gd"): rare}))
        assert said.verdict == "holds"
        assert said.sentence.endswith(" Left out, as less than half of the samples are matched: gd on t.")


class TestBoosts:
    base = experiment(RISING, RISING / 20)

    def test_it_holds_where_every_rate_rises_with_the_rmse(self) -> None:
        said = answer("boosts", self.base, experiment(RISING + 0.1, RISING / 18, "rmse-term"))
        assert said.verdict == "holds"
        assert "for 14 of 14 pairs of surrogate and optimiser" in said.sentence
        assert "rose clearly in 14 and fell clearly in 0. The mean gain is 10.0 [" in said.sentence
        assert "the least 10.0." in said.sentence

    def test_one_rate_that_clearly_falls_refutes_it_and_one_that_stays_leaves_it_open(self) -> None:
        fallen, level = RISING + 0.1, RISING + 0.1
        fallen[2], level[2] = RISING[2] - 0.1, RISING[2]
        assert answer("boosts", self.base, experiment(fallen, RISING / 18, "rmse-term")).verdict == "does not hold"
        assert answer("boosts", self.base, experiment(level, RISING / 18, "rmse-term")).verdict == "undecided"

    def test_attacks_whose_rmse_does_not_rise_test_nothing(self) -> None:
        fallen, sizes = RISING + 0.1, RISING / 18
        fallen[2], sizes[2] = RISING[2] - 0.1, RISING[2] / 20
        said = answer("boosts", self.base, experiment(fallen, sizes, "rmse-term"))
        assert said.verdict == "holds"
        assert "for 12 of 14 pairs" in said.sentence
        said = answer("boosts", self.base, experiment(RISING + 0.1, RISING / 20, "rmse-term"))
        assert said == Answer("undecided", "The RMSE term made the RMSE clearly larger for no attack.")

    def test_other_samples_are_not_compared(self) -> None:
        other = experiment(RISING + 0.1, RISING / 18, "rmse-term")
        said = answer("boosts", self.base, replace(other, row=other.row + 1))
        assert said.verdict == "undecided"
        assert "were run on other samples" in said.sentence

    def test_while_the_second_is_run_it_is_undecided(self) -> None:
        other = experiment(RISING + 0.1, RISING / 18, "rmse-term")
        part = {key: value for key, value in other.predicted.items() if key[0] == "s"}
        said = answer("boosts", self.base, replace(other, predicted=part))
        assert said.verdict == "undecided"
        assert said.sentence.endswith("Not done yet: gd on t, m-gd on t, na-gd on t and 4 more.")


class TestLevel:
    sizes = np.full(len(OPTIMISERS), 0.025)

    def test_equal_rates_are_level_and_far_ones_are_not(self) -> None:
        for name in ("level", "level-with-gd"):
            said = answer(name, experiment(np.full(7, 0.5), self.sizes, "equal-rmse"))
            assert said.verdict == "holds"
            assert "in percentage points: s 0.0 [0.0, 0.0], t 0.0 [0.0, 0.0]. The mean RMSEs are 0.025" in said.sentence
            assert answer(name, experiment(RISING, self.sizes, "equal-rmse")).verdict == "does not hold"

    def test_plain_gd_alone_can_be_apart(self) -> None:
        rates = np.full(7, 0.7)
        rates[OPTIMISERS.index("gd")] = 0.4
        found = experiment(rates, self.sizes, "equal-rmse")
        assert answer("level", found).verdict == "holds"
        assert answer("level-with-gd", found).verdict == "does not hold"

    def test_of_attacks_that_are_left_out_it_can_not_hold(self) -> None:
        level, apart = (experiment(rates, self.sizes, "equal-rmse") for rates in (np.full(7, 0.5), RISING))
        for found, verdict in ((level, "undecided"), (apart, "does not hold")):
            rare = replace(found.made["t", "gd"], matched=np.arange(200) < 90)
            said = answer("level-with-gd", replace(found, made={**found.made, ("t", "gd"): rare}))
            assert said.verdict == verdict
            assert said.sentence.endswith("less than half of the samples are matched: gd on t.")
        assert answer("level", replace(level, made={**level.made, ("t", "gd"): rare})).verdict == "holds"

    def test_rates_about_as_far_apart_as_the_threshold_are_undecided(self) -> None:
        rates = np.full(7, 0.5)
        rates[3] = 0.55
        assert answer("level", experiment(rates, self.sizes, "equal-rmse")).verdict == "undecided"


class TestHardlyCorrelates:
    def test_it_does_not_hold_where_rates_follow_the_rmse_at_one_linf_distance(self) -> None:
        assert answer("hardly-correlates", experiment(RISING, RISING / 20)).verdict == "does not hold"

    def test_where_the_linf_distance_goes_wholly_with_the_rates_it_is_undecided(self) -> None:
        said = answer("hardly-correlates", experiment(RISING, RISING[::-1] / 20, linf=RISING / 10))
        assert said.verdict == "undecided"
        assert "is unknown over 14 pairs of surrogate and optimiser; without that it is -1.00" in said.sentence

    def test_it_holds_where_rates_and_rmse_are_unrelated(self) -> None:
        sizes = np.array([3, 1, 5, 7, 6, 4, 2]) / 100  # of these ranks and 1 to 7 the correlation is 1 / 7
        said = answer("hardly-correlates", experiment(RISING, sizes))
        assert said.verdict == "holds"
        assert "is 0.14 [" in said.sentence


class TestSection4:
    def findings(self, rate: float, rmse: float) -> TransferFindings:
        rates = {(name, attack): value for name in SURROGATES for attack, value in (("pgd", 0.4), ("mi", rate))}
        sizes = {(name, attack): value for name in SURROGATES for attack, value in (("pgd", 0.02), ("mi", rmse))}
        return rated(rates, sizes, samples=200)

    def test_both_have_to_be_larger_and_one_that_is_smaller_refutes_it(self) -> None:
        said = answer("mi-over-pgd", self.findings(0.6, 0.04))
        assert said.verdict == "holds"
        assert said.sentence.startswith("Its RMSE is larger by 0.0200 [0.0200, 0.0200], its success rate by 20.0 [")
        assert answer("mi-over-pgd", self.findings(0.6, 0.01)).verdict == "does not hold"
        assert answer("mi-over-pgd", self.findings(0.2, 0.04)).verdict == "does not hold"
        assert answer("mi-over-pgd", self.findings(0.4, 0.04)).verdict == "undecided"

    def test_others_are_not_done_yet(self) -> None:
        said = answer("square-over-pgd", self.findings(0.6, 0.04))
        assert said == Answer("undecided", "Not done yet: square and pgd under one protocol.")
        planned = replace(self.findings(0.6, 0.04), predicted={})
        assert answer("mi-over-pgd", planned).sentence == "Not done yet: pgd on s, mi on s, pgd on t and 1 more."
