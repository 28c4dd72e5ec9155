"""Does docs/recommender.md say what was measured?"""

from benchmarks import recommender_page


def test_the_page_is_made_from_the_results() -> None:
    assert recommender_page.PAGE.read_text() == recommender_page.page()


def test_what_was_promised_holds_in_the_results() -> None:
    """Bounds of quality, none of speed."""
    found = recommender_page.read("benchmarks/results/retrieval.json")["table"]
    assert found["40 points, 4 decimals"]["matched"]["top1"] >= 0.99
    assert found["moved, 40 points, noise 0.1 %"]["matched"]["top1"] >= 0.99
    assert found["cut 5 %"]["matched"]["top1"] >= 0.99
    assert found["cut 5 %, moved, 40 points, noise 0.1 %"]["matched"]["top1"] >= 0.97
    made = recommender_page.read("benchmarks/results/recommendation.json")["generated"]
    assert made["feasible"] >= 50
    assert made["xxlarge"]["kept_of_all"] >= 0.8
    assert made["xxlarge"]["median_kept"] >= 0.8
