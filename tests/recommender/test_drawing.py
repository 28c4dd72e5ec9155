import json
import math

import numpy as np
import pytest

from recommender.contour import normalise
from recommender.drawing import POINTS_MAX, TEXT_MAX, ContourRefused, from_points, read
from tests.recommender.sections import NACA0012, NACA4412, Array, naca, text_of

UPPER, LOWER = NACA4412[:80][::-1], NACA4412[79:]


def refusal(text: str) -> ContourRefused:
    with pytest.raises(ContourRefused) as refused:
        read(text)
    return refused.value


def apart(text: str) -> float:
    """How far the contour of a drawing of NACA 4412 is from the one of its points."""
    return float(np.abs(normalise(read(text).points).heights - normalise(NACA4412).heights).max())


def test_selig_text_is_read_with_its_name() -> None:
    drawing = read("NACA 4412\n" + text_of(NACA4412))
    assert drawing.name == "NACA 4412"
    assert drawing.points.shape == NACA4412.shape


def test_the_points_are_those_that_were_written() -> None:
    text = "n\n" + "\n".join(f"{x!r} {y!r}" for x, y in NACA4412.tolist())
    assert np.array_equal(read(text).points, NACA4412)


@pytest.mark.parametrize("first", ["upper", "lower"])
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("header", [" 80. 80.\n\n", "80 80\n"])
def test_lednicer_text_is_read_in_either_order_and_direction(first: str, turned: tuple[bool, bool], header: str) -> None:
    surfaces = [UPPER, LOWER] if first == "upper" else [LOWER, UPPER]
    one, other = (surface[::-1] if turn else surface for surface, turn in zip(surfaces, turned, strict=True))
    assert apart(f"NACA 4412\n{header}{text_of(one)}\n\n{text_of(other)}\n") < 1e-5


@pytest.mark.parametrize("surfaces", [(UPPER, LOWER), (LOWER, UPPER), (UPPER[::-1], LOWER[::-1]), (UPPER[::-1], LOWER)])
def test_a_blank_line_between_surfaces_will_do_for_counts(surfaces: tuple[Array, Array]) -> None:
    assert apart(f"NACA 4412\n{text_of(surfaces[0])}\n\n{text_of(surfaces[1])}\n") < 1e-5


@pytest.mark.parametrize("degrees", [0.0, 35.0, 90.0, 180.0])
def test_lednicer_surfaces_that_meet_at_both_ends_begin_at_the_rounder_one(degrees: float) -> None:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = 100.0 * np.array([[c, s], [-s, c]])
    assert apart(f"n\n80 80\n{text_of(UPPER[::-1] @ turn)}\n{text_of(LOWER[::-1] @ turn)}") < 1e-5


def test_an_open_lednicer_tail_is_no_nose() -> None:
    opened = [surface + [[0.0, side]] * surface[:, :1] for surface, side in ((UPPER, 0.004), (LOWER, -0.004))]
    contour = normalise(read(f"n\n80 80\n{text_of(opened[0])}\n{text_of(opened[1])}").points)
    assert contour.trailing_gap == pytest.approx(0.008, abs=1e-4)


def test_selig_text_may_have_a_blank_line_at_the_nose() -> None:
    assert apart(f"NACA 4412\n\n{text_of(NACA4412[:80])}\n\n{text_of(NACA4412[80:])}\n\n") < 1e-5


def test_blank_lines_anywhere_are_passed_over() -> None:
    assert apart("NACA 4412\n\n" + text_of(NACA4412).replace("\n", "\n\n")) < 1e-5


@pytest.mark.parametrize("mark", ["#", "!", "//", ";"])
def test_comments_of_every_mark_are_passed_over(mark: str) -> None:
    lines = text_of(NACA4412).splitlines()
    text = "\n".join(
        [f"{mark} drawn by hand", "NACA 4412", *lines[:9], f"{mark} 0.5 0.5", f"{lines[9]} {mark} here", *lines[10:]]
    )
    assert len(read(text).points) == len(NACA4412)
    assert read(text).name == "NACA 4412"


def test_commas_comments_windows_line_ends_and_closing_notes_are_read() -> None:
    lines = [f"{x:.6f}, {y:.6f}" for x, y in NACA0012]
    text = "\ufeffNACA 0012\r\n# drawn by hand\r\n" + "\r\n".join(lines) + "\r\nfrom a report\r\nof 1933\r\n"
    assert len(read(text).points) == len(NACA0012)
    assert read(text).name == "NACA 0012"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("between", [" ", "\t", "   \t ", ",", ", ", " ,\t"])
def test_any_line_end_and_separator_will_do(line_end: str, between: str) -> None:
    text = line_end.join(["NACA 4412", *(f"  {x:.6f}{between}{y:.6f} " for x, y in NACA4412)])
    assert apart(text) < 1e-5


@pytest.mark.parametrize("exponent", ["E", "e", "D", "d"])
def test_exponents_of_fortran_are_read(exponent: str) -> None:
    text = "n\n" + "\n".join(f"{x:.7E} {y:.7E}" for x, y in NACA4412).replace("E", exponent)
    assert apart(text) < 1e-5


@pytest.mark.parametrize("name", ["0012 by hand", "2412", "23012", "4412 (smoothed) 12%", "1D wing", "e1 e2", "63(2)-215"])
def test_a_name_may_begin_with_digits(name: str) -> None:
    drawing = read(f"{name}\n{text_of(NACA0012)}")
    assert drawing.name == name
    assert len(drawing.points) == len(NACA0012)


def test_a_name_of_two_numbers_is_refused_with_what_to_do() -> None:
    refused = refusal(f"0012 64\n{text_of(NACA0012)}")
    assert refused.code == "wrong_counts"
    assert "a word before it" in str(refused)


def test_one_count_before_selig_points_must_be_theirs() -> None:
    assert len(read(f"NACA 0012\n159\n{text_of(NACA0012)}").points) == 159
    assert refusal(f"NACA 0012\n161\n{text_of(NACA0012)}").code == "wrong_counts"


def test_the_grid_box_of_an_mses_file_is_no_point() -> None:
    assert len(read("NACA 0012\n-2.0 3.0 -2.5 2.5\n" + text_of(NACA0012)).points) == len(NACA0012)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("0.5 abc", "'0.5 abc'"),
        ("0,5 0,1", "4 numbers"),
        ("0.5", "1 numbers"),
        ("0.1 0.2 0.3", "3 numbers"),
        ("1_0 2", "'1_0 2'"),
        ("٠.٥ ٠.١", "'٠.٥ ٠.١'"),
    ],
)
def test_a_line_that_is_no_point_is_named(line: str, found: str) -> None:
    lines = text_of(NACA0012).splitlines()
    refused = refusal("\n".join([*lines[:6], line, *lines[6:]]))
    assert refused.where == "line 7"
    assert refused.code == "unreadable_line"
    assert found in str(refused)


def test_wrong_lednicer_counts_are_named_with_their_line() -> None:
    refused = refusal(f"NACA\n70. 80.\n{text_of(UPPER)}\n{text_of(LOWER)}")
    assert "counts 70 + 80 but 160 points follow" in str(refused)
    assert refused.where == "line 2"


def test_millimetres_that_look_like_counts_are_points() -> None:
    points = np.round(NACA0012 * 100 + [0, 3], 3)
    assert read(text_of(points)).points.shape == points.shape


@pytest.mark.parametrize("text", ["", "only a name", "name\n1 0\n0 0\n1 0", "\ufeff", "\n\n", "# only a comment"])
def test_too_few_points_are_refused(text: str) -> None:
    assert "expected at least 10" in str(refusal(text))


def test_reading_stops_when_there_are_too_many_points() -> None:
    assert refusal("0.5 0.1\n" * (10 * POINTS_MAX)).code == "too_many_points"


@pytest.mark.parametrize(
    ("row", "code"), [("nan 0", "not_finite"), ("0 -inf", "not_finite"), ("1e999 0", "not_finite"), ("1D150 0", "size")]
)
def test_a_number_that_no_drawing_has_is_refused_with_its_line(row: str, code: str) -> None:
    lines = text_of(NACA0012).splitlines()
    refused = refusal("\n".join(["n", *lines[:20], row, *lines[20:]]))
    assert (refused.where, refused.code) == ("line 22", code)


def test_a_text_longer_than_any_outline_is_refused_unread() -> None:
    refused = refusal("n\n" + text_of(NACA0012) + "\nnote" * TEXT_MAX)
    assert refused.code == "too_long"
    assert "expected at most 1,000,000" in str(refused)


def json_refusal(value: object) -> ContourRefused:
    with pytest.raises(ContourRefused) as refused:
        from_points(value)
    return refused.value


def test_points_of_json_are_an_outline() -> None:
    value = json.loads(json.dumps(NACA4412.tolist()))
    assert np.array_equal(from_points(value).points, NACA4412)
    whole = [[0, 1], *value]
    assert from_points(whole).points.dtype == np.float64


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ([True, 0.0], "bool"),
        ([0.0, False], "bool"),
        (["0.5", 0.0], "str"),
        ([None, 0.0], "NoneType"),
        ([0.5], "a list of 1"),
        ([0.5, 0.1, 0.2], "a list of 3"),
        ([[0.5, 0.1]], "a list of 1"),
        ([[0.5], [0.1]], "list"),
        ({"x": 0.5, "y": 0.1}, "dict"),
        ("0.5 0.1", "str"),
        (0.5, "float"),
    ],
)
def test_an_item_that_is_no_point_is_named(item: object, found: str) -> None:
    refused = json_refusal([*NACA4412[:20].tolist(), item, *NACA4412[20:].tolist()])
    assert (refused.where, refused.code) == ("point 21", "not_points")
    assert f"found {found}, expected" in str(refused)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e101, 10**400, -(10**400)])
def test_a_number_of_json_that_no_drawing_has_is_refused(number: float) -> None:
    refused = json_refusal([*NACA4412[:20].tolist(), [0.5, number]])
    assert refused.where == "point 21"
    assert refused.code in {"not_finite", "size"}


def test_lists_within_lists_are_refused_at_the_first_level() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert json_refusal([deep] * 20).where == "point 1"


@pytest.mark.parametrize("value", [None, True, 1.0, "[[0, 1]]", {"points": []}, NACA4412])
def test_what_is_no_list_is_refused(value: object) -> None:
    assert json_refusal(value).where == "points"


@pytest.mark.parametrize("count", [0, 9, POINTS_MAX + 1])
def test_lists_of_too_few_or_too_many_points_are_refused(count: int) -> None:
    points: Array = naca(0.0, 0.4, 0.12, 2600)[:count]
    assert json_refusal(points.tolist()).code == ("too_few_points" if count < 10 else "too_many_points")
