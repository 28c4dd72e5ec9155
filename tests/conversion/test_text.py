"""Does every text, in any script, have the very terms in the graph that it has in scikit-learn?"""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import RidgeClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import FeatureUnion, make_pipeline

from conversion.candidates import FLOAT64
from conversion.errors import Refused
from conversion.repairs.tokens import CODE_POINTS, changes
from conversion.schema import schema_of
from conversion.search import search
from conversion.translate import translate
from serving.runtime import open_session
from tests.conversion.asking import question

WORDS = (
    "the a of wing flap thick good bad Ärger häuse straße naïve café don't e-mail крыло İstanbul stanbul x y 12 3.14 b_2 I"
    " DJ ǅ ﬁne ½ cup² Kelvin \u212a 機翼 हिन्दी"
).split()
ODD = [
    *("", " ", "\t\n", "?!", "İx wing İ flap", "aİ aİb İİ", "wing\x00flap", "\ufeffwing", "ＷＩＮＧ", "e\u0301tude cafe\u0301"),
    *("🙂 wing 🛩️ flap", "ẞ ß", "ΑΣΔ wing", "\u3000wing\u2003flap\u00a0x", "a\u0345b", "Ⅷ ⅷ ① ②", "\U00010400 \U00010428"),
    *("a  b   c\n\n d", "\x1c\x1dwing\x85x", "ﷺ ㍿ ½ ﬀ", "각 가 힣 wing", "\u0307i i\u0307 i", "x", "wing x flap"),
]
LETTERS = [
    chr(code)
    for part in ((32, 0x250), (0x370, 0x3A3), (0x400, 0x460), (0x1E00, 0x1F00), (0x2150, 0x2160), (0xAC00, 0xAC20))
    for code in range(*part)
]  # fmt: skip


def texts(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    words = [" ".join(rng.choice(WORDS, rng.integers(1, 12))) for _ in range(count)]
    glued = [rng.choice(list(" \n-_.,'/é1İ")).join(rng.choice(WORDS, 5)) for _ in range(count)]
    cased = [getattr(text, rng.choice(["upper", "title", "swapcase"]))() for text in words]
    letters = ["".join(rng.choice(LETTERS, rng.integers(1, 40))) for _ in range(count)]
    return [*ODD, *words, *glued, *cased, *letters]


def answers(fitted: Any, rows: list[str]) -> Any:
    graph = translate(fitted, schema_of(fitted), ["transform"], FLOAT64).graph
    return open_session(graph.SerializeToString()).run(None, {"X": np.array(rows, object).reshape(-1, 1)})[0]


def same(vectorizer: Any) -> None:
    fitted = vectorizer.fit([text.replace("Σ", "Λ") for text in texts(60, seed=1)])
    rows = texts(80, seed=2)
    wanted = fitted.transform(rows).toarray()
    assert np.abs(wanted - answers(fitted, rows)).max() < 1e-12
    assert wanted.any(axis=0).mean() > 0.1, "the rows hold few of the terms"


SPLIT: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "pairs": {"ngram_range": (1, 2)},
    "pairs and triples only": {"ngram_range": (2, 3), "min_df": 2},
    "stop words": {"stop_words": "english"},
    "stop words between pairs": {"stop_words": ["of", "wing", "ärger"], "ngram_range": (1, 2)},
    "case kept": {"lowercase": False, "ngram_range": (1, 2)},
    "single letters": {"token_pattern": r"\w{1,}", "ngram_range": (1, 2)},
    "some letters": {"token_pattern": r"[a-zA-Z]+", "ngram_range": (1, 2)},
    "whole words of some letters": {"token_pattern": r"\b[a-z]{3,}\b"},
    "what no blank parts": {"token_pattern": r"\S+"},
    "characters": {"analyzer": "char", "ngram_range": (1, 3)},
    "characters, case kept": {"analyzer": "char", "ngram_range": (2, 3), "lowercase": False},
    "characters of words": {"analyzer": "char_wb", "ngram_range": (1, 3)},
    "long runs of short words": {"analyzer": "char_wb", "ngram_range": (4, 6)},
    "accents stripped": {"strip_accents": "unicode"},
    "accents stripped to ASCII, pairs": {"strip_accents": "ascii", "ngram_range": (1, 2)},
    "characters without accents": {"strip_accents": "unicode", "analyzer": "char_wb", "ngram_range": (2, 3)},
}


@pytest.mark.parametrize("given", SPLIT.values(), ids=SPLIT)
def test_a_text_has_the_same_terms(given: dict[str, Any]) -> None:
    same(CountVectorizer(**given))


@pytest.mark.parametrize(
    "given",
    [{}, {"sublinear_tf": True}, {"norm": "l1"}, {"norm": None, "use_idf": False}, {"binary": True, "max_df": 0.5}],
)  # fmt: skip
def test_terms_weigh_the_same(given: dict[str, Any]) -> None:
    same(TfidfVectorizer(**given))


@pytest.mark.filterwarnings("ignore:Upper case characters found:UserWarning")
def test_a_vocabulary_may_hold_what_is_never_found() -> None:
    rows = texts(20, seed=3)
    fitted = CountVectorizer(vocabulary={"wing": 1, "Wing": 0, "the": 2, "x": 4, "never": 3}).fit(rows)
    assert (fitted.transform(rows).toarray() == answers(fitted, rows)).all()


def test_counts_are_weighed_in_a_step_of_their_own() -> None:
    same(make_pipeline(CountVectorizer(), TfidfTransformer(sublinear_tf=True)))


def test_words_and_characters_stand_side_by_side() -> None:
    same(FeatureUnion([("w", TfidfVectorizer()), ("c", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)))]))


@pytest.mark.parametrize("model", [MultinomialNB(), RidgeClassifier()])
def test_a_model_of_texts_is_accepted(model: Any) -> None:
    rows = texts(60, seed=1)
    accepted = search(question(make_pipeline(TfidfVectorizer(sublinear_tf=True), model).fit(rows, np.arange(len(rows)) % 3)))
    assert accepted.candidate.name == "float64"
    assert "vectorizers" in accepted.repairs


def test_this_machine_lower_cases_as_python_does_but_for_one_letter() -> None:
    node = helper.make_node("StringNormalizer", ["X"], ["Y"], case_change_action="LOWER", is_case_sensitive=1, locale="C.UTF-8")
    ends = [[helper.make_tensor_value_info(name, TensorProto.STRING, [None])] for name in ("X", "Y")]
    model = helper.make_model(helper.make_graph([node], "g", *ends), opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    answered = open_session(model.SerializeToString()).run(None, {"X": np.array(CODE_POINTS, object)})[0]
    python = changes(True, None)
    assert [one for one, found in zip(CODE_POINTS, answered, strict=True) if python.get(one, one) != found] == ["İ"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "tokenizer": ({"tokenizer": str.split}, "tokenizer is a function of your own"),
    "preprocessor": ({"preprocessor": str.upper}, "preprocessor is a function of your own"),
    "pattern": ({"token_pattern": r"\w+|\$[\d.]+"}, "is more than a run of characters of one kind"),
    "sigma": ({"vocabulary": ["κόσμος"]}, "words with a final sigma"),
    "sigma among characters": ({"vocabulary": ["σ"], "analyzer": "char"}, "the letter sigma"),
    "skipped words": ({"token_pattern": r"\b[a-z]+\b", "ngram_range": (1, 2)}, "leaves out words of other characters"),
}


@pytest.mark.parametrize(("given", "reason"), REFUSED.values(), ids=REFUSED)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_cannot_be_the_same_is_refused_by_name(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused, match=reason.replace("(", r"\(")):
        search(question(CountVectorizer(**given).fit(["κόσμος wing flap", "two σ words"])))
