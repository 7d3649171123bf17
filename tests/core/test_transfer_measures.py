"""Success rates, distances and their relations, of findings whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, pearsonr, rankdata, spearmanr

from core.evaluation.bootstrap import ROUNDS, Estimate
from core.studies.transferability.findings import OPTIMISERS
from core.studies.transferability.measures import DENOMINATORS, Denominator, Measures, estimate, mean_over
from core.studies.transferability.options import TransferOptions
from core.studies.transferability.relations import (
    PAPER,
    agreement,
    compare,
    pair,
    places,
    spearman,
    spread,
)
from tests.core.transfers import findings, made, rated

CELL = ("s", "gd")


def hand() -> Measures:
    """Eight samples of class 0: the surrogate knows 0 to 5, the victim 0 to 3 and 6, sample 0 is not matched; the
    victim is fooled on 0, 1, 4, 6."""
    label = [0] * 8
    cell = made(8, matched=np.arange(8) > 0, prediction=[1, 1, 2, 0, 1, 1, 1, 0], rmse=np.arange(8) / 100)
    clean = {"s": [0, 0, 0, 0, 0, 0, 1, 1], "v": [0, 0, 0, 0, 1, 1, 0, 1]}
    return Measures(findings({CELL: cell}, {(*CELL, "v"): [1, 1, 0, 0, 1, 0, 2, 0]}, label=label, clean=clean))


class TestRates:
    @pytest.mark.parametrize(
        ("denominator", "samples", "successes"),
        [
            ("both", [1, 2, 3], 1),
            ("surrogate", [1, 2, 3, 4, 5], 2),
            ("victim", [1, 2, 3, 6], 2),
            ("all", range(1, 8), 3),
        ],
    )
    def test_each_denominator_counts_its_matched_samples(
        self, denominator: Denominator, samples: list[int], successes: int
    ) -> None:
        measures = hand()
        assert np.flatnonzero(measures.among(*CELL, denominator)[:, 0]).tolist() == list(samples)
        assert measures.asr(*CELL, denominator)[0] == successes / len(samples)

    def test_the_share_of_unmatched_samples_is_of_those_that_the_surrogate_knows(self) -> None:
        assert hand().unmatched(*CELL)[0] == 1 / 6

    def test_a_mistake_is_the_surrogates_or_another(self) -> None:
        cell = made(6, prediction=[1, 1, 2, 2, 0, 0])
        measures = Measures(findings({CELL: cell}, {(*CELL, "v"): [1, 2, 2, 0, 0, 3]}, label=[0] * 6))
        not_fooled, another, same = measures.fates(*CELL)[0, 0]
        assert (not_fooled, another, same) == (2 / 6, 2 / 6, 2 / 6)

    def test_distances_are_of_attacked_samples_and_successes_are_on_the_surrogate(self) -> None:
        measures = hand()
        assert measures.distance(*CELL)[0] == pytest.approx(np.mean([1, 2, 3, 4, 5]) / 100)
        assert measures.distance(*CELL, fooled=True)[0] == pytest.approx(np.mean([1, 2, 4, 5]) / 100)
        assert measures.white_box(*CELL)[0] == 4 / 5

    def test_what_images_do_not_have_is_nan(self) -> None:
        cell = made(4, chamfer=np.nan)
        measures = Measures(findings({CELL: cell}, {(*CELL, "v"): [0] * 4}, label=[0] * 4, modality="images"))
        assert np.isnan(measures.distance(*CELL, "chamfer")).all()

    def test_the_mean_is_over_victims_once_all_have_judged_and_a_surrogate_is_no_victim_of_its_own(self) -> None:
        judged = {(*CELL, "a"): [1, 0, 0, 0], (*CELL, "b"): [1, 1, 1, 0], (*CELL, "s"): [1, 1, 1, 1]}
        whole = findings({CELL: made(4)}, judged, label=[0] * 4)
        assert Measures(whole).asr(*CELL)[0] == (1 / 4 + 3 / 4) / 2
        assert Measures(whole).progress() == (2, 2)
        part = Measures(replace(whole, predicted={(*CELL, "a"): whole.predicted[*CELL, "a"]}))
        assert part.progress() == (1, 2)
        assert np.isnan(part.asr(*CELL)).all()
        np.testing.assert_array_equal(part.rates(*CELL)[0], [1 / 4, np.nan])
        unasked = Measures(replace(whole, clean={"s": whole.label, "a": whole.label}))
        assert np.isnan(unasked.asr(*CELL)[0])

    def test_gradients_are_means_over_samples(self) -> None:
        found = replace(hand().findings, smoothness={"s": np.arange(8.0)}, alignment={("s", "v"): np.full(8, 0.5)})
        assert estimate(Measures(found).smoothness("s")).value == 3.5
        assert estimate(Measures(found).alignment("s", "v")) == Estimate(0.5, 0.5, 0.5)
        assert np.isnan(Measures(found).smoothness("v")).all()

    def test_with_steps_attacks_are_those_of_a_number_of_steps(self) -> None:
        cells = {("s", f"gd@{steps}"): made(4) for steps in (1, 10)}
        found = findings(
            cells,
            {(*cell, "v"): [0] * 4 for cell in cells},
            label=[0] * 4,
            attacks=("gd",),
            options=TransferOptions(protocol="steps"),
        )
        assert Measures(found).attacks(OPTIMISERS) == ("gd@1", "gd@10")


class TestIntervals:
    def test_of_a_rate_they_are_those_of_a_binomial_count(self) -> None:
        measures = Measures(rated({CELL: 0.3}, {CELL: 0.02}, samples=200))
        found = estimate(measures.asr(*CELL))
        assert found.value == 0.3
        np.testing.assert_allclose([found.low, found.high], binom.ppf([0.025, 0.975], 200, 0.3) / 200, atol=0.006)

    def test_two_equal_attacks_differ_by_nothing_and_over_equal_victims_the_mean_is_no_surer(self) -> None:
        rates = {CELL: 0.3, ("s", "adam"): 0.3}
        measures = Measures(rated(rates, dict.fromkeys(rates, 0.02), victims=("a", "b", "c")))
        assert estimate(measures.asr(*CELL) - measures.asr("s", "adam")) == Estimate(0, 0, 0)
        np.testing.assert_allclose(measures.asr(*CELL), measures.rates(*CELL)[:, 0], atol=1e-12)

    def test_those_of_several_statements_are_wider_and_what_is_unknown_has_none(self) -> None:
        draws = np.concatenate([[0], np.linspace(-1, 1, ROUNDS)])
        assert estimate(draws).high == pytest.approx(0.95)
        assert estimate(draws, 5).high == pytest.approx(0.99)
        assert np.isnan(estimate(np.full(ROUNDS + 1, np.nan)).low)
        assert estimate(np.full(ROUNDS + 1, np.nan)).text(2) == ""
        assert estimate(draws).text(2) == "0.00 [-0.95, 0.95]"

    def test_a_mean_leaves_out_what_is_not_known(self) -> None:
        table = np.array([[1.0, np.nan], [3.0, np.nan]])
        np.testing.assert_array_equal(mean_over(table, 0), [2, np.nan])
        np.testing.assert_array_equal(mean_over(table, 1), [1, 3])


@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(1, 12))
def test_denominators_are_nested_and_shares_add_to_one(data: st.DataObject, samples: int) -> None:
    def draw(most: int) -> list[int]:
        return data.draw(st.lists(st.integers(0, most), min_size=samples, max_size=samples))

    label = draw(2)
    cell = made(samples, matched=np.array(draw(1), dtype=np.bool_), prediction=draw(2))
    found = findings({CELL: cell}, {(*CELL, "v"): draw(2)}, label=label, clean={"s": draw(2), "v": draw(2)})
    measures = Measures(found)
    among = {name: measures.among(*CELL, name)[:, 0] for name in DENOMINATORS}
    assert not (among["both"] & ~(among["surrogate"] & among["victim"])).any()
    assert not ((among["surrogate"] | among["victim"]) & ~among["all"]).any()
    assert (among["all"] == cell.matched).all()
    for name in DENOMINATORS:
        rate = measures.rates(*CELL, name)[0, 0]
        assert np.isnan(rate) if not among[name].any() else 0 <= rate <= 1
    fates = measures.fates(*CELL)
    known = np.isfinite(fates[:, 0, 0])
    np.testing.assert_allclose(fates[known].sum(axis=2), 1)
    np.testing.assert_allclose(fates[known, 0, 0], 1 - measures.rates(*CELL)[known, 0])


RATES = {
    "a": {"gd": 0.5, "m-gd": 0.2, "na-gd": 0.25, "adam": 0.8, "m-svag": 0.3},
    "b": {"gd": 0.1, "m-gd": 0.2, "na-gd": 0.3, "adam": 0.3, "m-svag": 0.45},
}
SIZES = {
    "a": {"gd": 0.02, "m-gd": 0.01, "na-gd": 0.03, "adam": 0.05, "m-svag": 0.04},
    "b": {"gd": 0.02, "m-gd": 0.03, "na-gd": 0.01, "adam": 0.04, "m-svag": 0.05},
}
LOSSES = {
    "a": {"gd": 3.0, "m-gd": 3.3, "na-gd": 3.1, "adam": 3.5, "m-svag": 3.2},
    "b": {"gd": 3.4, "m-gd": 3.1, "na-gd": 3.3, "adam": 3.2, "m-svag": 3.6},
}


def flat(table: dict[str, dict[str, float]]) -> dict[tuple[str, str], float]:
    return {(surrogate, attack): value for surrogate, row in table.items() for attack, value in row.items()}


class TestRelations:
    @pytest.fixture
    def measures(self) -> Measures:
        return Measures(rated(flat(RATES), flat(SIZES), loss=flat(LOSSES)))

    @pytest.mark.parametrize("surrogate", ["a", "b"])
    def test_within_a_surrogate_it_is_spearmans_correlation(self, measures: Measures, surrogate: str) -> None:
        expected = spearmanr(list(RATES[surrogate].values()), list(SIZES[surrogate].values())).statistic
        assert spearman(compare(measures), [surrogate])[0] == pytest.approx(expected)

    def test_pooled_it_is_the_correlation_of_ranks_about_the_surrogates_means(self, measures: Measures) -> None:
        x, y = (
            [rank - 3 for row in table.values() for rank in rankdata(list(row.values()))] for table in (SIZES, RATES)
        )
        assert spearman(compare(measures), ["a", "b"])[0] == pytest.approx(pearsonr(x, y).statistic)

    def test_given_the_loss_it_is_the_correlation_of_what_the_loss_leaves(self, measures: Measures) -> None:
        x, y, z = (rankdata(list(table["a"].values())) - 3 for table in (SIZES, RATES, LOSSES))
        left, right = (side - z * (side @ z) / (z @ z) for side in (x, y))
        expected = left @ right / np.sqrt((left @ left) * (right @ right))
        assert spearman(compare(measures), ["a"], given="loss")[0] == pytest.approx(expected)

    def test_given_what_all_have_in_common_it_is_the_plain_one(self, measures: Measures) -> None:
        compared = compare(measures)
        np.testing.assert_array_equal(spearman(compared, ["a"], given="linf"), spearman(compared, ["a"]))

    def test_what_does_not_vary_or_is_too_little_has_none(self) -> None:
        keys = [("s", attack) for attack in OPTIMISERS[:3]]
        level = Measures(rated(dict(zip(keys, (0.1, 0.2, 0.3), strict=True)), dict.fromkeys(keys, 0.02)))
        assert np.isnan(spearman(compare(level), ["s"])).all()
        two = Measures(rated(dict.fromkeys(keys[:2], 0.1), dict.fromkeys(keys[:2], 0.02)))
        assert np.isnan(spearman(compare(two), ["s"])).all()

    def test_the_spread_is_the_largest_less_the_smallest_and_without_gd_it_may_be_less(
        self, measures: Measures
    ) -> None:
        whole, rest = spread(compare(measures), "b"), spread(compare(measures, OPTIMISERS[1:]), "b")
        assert (whole.value, rest.value) == (pytest.approx(0.35), pytest.approx(0.25))
        assert 0 < whole.low < whole.value < whole.high
        assert spread(compare(measures), "b", 4).high > whole.high
        assert np.isnan(spread(compare(measures, ("adam",)), "b").value)

    def test_the_interval_of_a_spread_of_two_is_that_of_their_difference(self) -> None:
        """The second attack succeeds on 40 of 200 samples more than the first: a binomial count."""
        keys = [("s", "gd"), ("s", "adam")]
        measures = Measures(rated(dict(zip(keys, (0.3, 0.5), strict=True)), dict.fromkeys(keys, 0.02), samples=200))
        found = spread(compare(measures), "s")
        np.testing.assert_allclose([found.low, found.high], binom.ppf([0.025, 0.975], 200, 0.2) / 200, atol=0.006)

    def test_attacks_are_compared_on_samples_that_all_are_matched_on_and_poorly_matched_ones_are_left_out(self) -> None:
        samples = np.arange(10)
        cells = {
            ("s", "gd"): made(10, matched=samples > 0),
            ("s", "adam"): made(10, matched=samples < 9),
            ("s", "m-gd"): made(10, matched=samples < 4),
        }
        wrong = np.where(samples % 9 == 0, 1, 0)  # on samples 0 and 9 alone
        found = findings(
            cells, {(*cell, "v"): wrong for cell in cells}, label=[0] * 10, attacks=(*OPTIMISERS[:3], "adam")
        )
        compared = compare(Measures(found))
        assert compared.attacks == {"s": ("gd", "adam")}
        assert compared.left_out == {"s": ("m-gd",)}
        assert compared.missing == {"s": ("na-gd",)}
        assert compared.samples("s") == 8
        assert Measures(found).asr("s", "gd")[0] == 1 / 9
        np.testing.assert_array_equal(compared.rows("s")[:, 0], 0)

    def test_the_papers_order_is_agreed_with_wholly_by_half_or_not_at_all(self) -> None:
        order = {attack: place for place, group in enumerate(PAPER["asr"]) for attack in group}
        for sign, expected in ((-0.1, 1), (0.1, 0), (0, 0.5)):
            rates = {("s", attack): 0.5 + sign * place for attack, place in order.items()}
            compared = compare(Measures(rated(rates, dict.fromkeys(rates, 0.02))))
            assert agreement(compared, ["s"], "asr")[0] == expected
        rates = {("s", attack): 0.5 - 0.1 * place for attack, place in order.items()}
        found = places(compare(Measures(rated(rates, dict.fromkeys(rates, 0.02)))), "s", "asr")
        assert found == {"adam": 2, "l-adam": 2, "adabelief": 2, "m-svag": 4, "gd": 5, "m-gd": 6.5, "na-gd": 6.5}

    def test_two_experiments_are_paired_on_what_both_have(self) -> None:
        rates = {("s", "gd"): 0.2, ("t", "gd"): 0.5}
        one = rated(rates, dict.fromkeys(rates, 0.02), samples=10, victims=("v", "w"))
        sizes = {("s", "gd"): 0.03}
        other = rated({("s", "gd"): 0.4}, sizes, samples=10, victims=("v",), protocol="rmse-term")
        matched = replace(other.made["s", "gd"], matched=np.arange(10) != 0)
        other = replace(other, made={("s", "gd"): matched})
        first, second = pair(Measures(one), Measures(other))
        assert first.findings.surrogates == second.findings.surrogates == ("s",)
        assert first.findings.victims == second.findings.victims == ("v",)
        assert second.asr("s", "gd")[0] - first.asr("s", "gd")[0] == pytest.approx(3 / 9 - 1 / 9)
        with pytest.raises(ValueError, match=r"equal-loss and rmse-term were run on other samples; run both with"):
            pair(Measures(one), Measures(replace(other, row=other.row + 1)))
