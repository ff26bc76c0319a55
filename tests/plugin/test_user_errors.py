"""A user's mistake is told in one sentence at the user's own line."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]
MISTAKES = {
    "missing_image": ('lime.check("cta.png", "cat", HOLDS)', "ImageError", "cta.png"),
    "folder_as_image": ('lime.check(".", "cat", HOLDS)', "ImageError", "'.'"),
    "wrong_image": ("lime.check(IMAGE.astype(float), 'cat', HOLDS)", "ImageError", "divide by 255"),
    "empty_region": ("lime.check(IMAGE, 'cat', mass(Box(4, 4, 4, 9), at_least=0.5))", "RegionError", "Box(4, 4, 4, 9)"),
    "region_outside": (
        "lime.check(IMAGE, 'cat', mass(Box(100, 100, 120, 120), at_least=0.5))",
        "RegionError",
        "Box(100, 100, 120, 120)",
    ),
    "no_region": ("lime.check(IMAGE, 'cat', mass((0, 0, 8, 8), at_least=0.5))", "RegionError", "pass Box, Polygon"),
    "both_bounds": ("mass(CORNER, at_least=0.5, at_most=0.6)", "OptionError", "exactly one"),
    "unknown_label": ("lime.check(IMAGE, 'brid', HOLDS)", "TargetError", "the nearest is 'bird'"),
    "index_outside": ("lime.check(IMAGE, 7, HOLDS)", "TargetError", "7"),
    "targets": ("lime.check(IMAGE, ['cat', 'dog'], HOLDS)", "OptionError", "make one check for each"),
    "unknown_option": ("lime.check(IMAGE, 'cat', HOLDS, sample=3)", "OptionError", "the nearest is 'samples'"),
    "wrong_option": ("lime.check(IMAGE, 'cat', HOLDS, samples='many')", "OptionError", "samples='many'"),
    "no_claim": ("lime.check(IMAGE, 'cat')", "OptionError", "add one, such as"),
    "no_target": ("lime.check(IMAGE)", "OptionError", "target"),
    "claim_not_called": ("lime.check(IMAGE, 'cat', mass)", "OptionError", "is no claim"),
    "claim_as_target": ("lime.check(IMAGE, HOLDS)", "LimeError", "claim"),
    "region_as_claim": ("lime.check(IMAGE, 'cat', CORNER)", "OptionError", "is no claim"),
    "explain_option": ("lime.explain(IMAGE, 'cat', sample=3)", "OptionError", "the nearest is 'samples'"),
}


def test_each_mistake_is_one_sentence_without_our_insides(
    suite: Callable[..., None], run: Run, insides: Callable[..., list[str]], pytester: pytest.Pytester
) -> None:
    suite("\n".join(f"def test_{name}(lime):\n    {call}\n" for name, (call, _, _) in MISTAKES.items()))
    result = run("--lime-samples=50")
    result.assert_outcomes(failed=len(MISTAKES))
    assert insides(result) == []
    sections = re.split(r"^_+ test_(\w+) _+$", str(result.stdout), flags=re.MULTILINE)
    told = dict(zip(sections[1::2], sections[2::2], strict=True))
    for name, (call, error, words) in MISTAKES.items():
        lines = [line[1:].strip() for line in told[name].splitlines() if line.startswith("E ")]
        assert len(lines) == 1, told[name]
        assert lines[0].startswith("pytest_lime."), lines
        assert error == "LimeError" or lines[0].startswith(f"pytest_lime.{error}: "), lines
        assert words in lines[0]
        assert lines[0].endswith((".", "?")), lines
        assert f">       {call}" in told[name] or f">   {call}" in told[name]
        assert "During handling" not in told[name]
        assert "direct cause" not in told[name]
    assert not (pytester.path / "lime-report").exists()


MODELS = {
    "nan": ("np.full((len(batch), 2), np.nan)", "returned NaN or infinity"),
    "shape": ("np.full(len(batch), 0.5)", "shape"),
    "rows": ("np.full((1, 2), 0.5)", "shape"),
    "columns": ("np.full((len(batch), 3), 1 / 3)", "2 labels"),
    "unnormalised": ("np.full((len(batch), 2), 3.0)", "apply a softmax"),
    "words": ("'cat'", "classifier_fn returned 'cat'"),
}


def test_each_broken_model_is_one_sentence_without_our_insides(
    suite: Callable[..., None], run: Run, insides: Callable[..., list[str]]
) -> None:
    answers = "".join(f'    "test_{name}": lambda batch: {answer},\n' for name, (answer, _) in MODELS.items())
    tests = "".join(f"def test_{name}(lime):\n    lime.check(IMAGE, 'cat', HOLDS)\n\n" for name in MODELS)
    model = """
@pytest.fixture
def lime_model(request):
    return CallableModel(ANSWERS[request.node.name], labels=["cat", "dog"])
"""
    suite(f"from pytest_lime import CallableModel\n\nANSWERS = {{\n{answers}}}\n{model}\n{tests}")
    result = run("--lime-samples=50")
    result.assert_outcomes(failed=len(MODELS))
    assert insides(result) == []
    sections = re.split(r"^_+ test_(\w+) _+$", str(result.stdout), flags=re.MULTILINE)
    told = dict(zip(sections[1::2], sections[2::2], strict=True))
    for name, (_, words) in MODELS.items():
        lines = [line[1:].strip() for line in told[name].splitlines() if line.startswith("E ")]
        assert [line for line in lines if line.startswith("pytest_lime.ModelError: ") and words in line], told[name]
        assert ">       lime.check(IMAGE, 'cat', HOLDS)" in told[name]


def test_an_exception_of_the_model_keeps_its_traceback(suite: Callable[..., None], run: Run) -> None:
    suite("""
        from pytest_lime import CallableModel

        def classify(batch):
            return look_up({}, batch)

        def look_up(table, batch):
            return table["weights of the model"]

        @pytest.fixture(scope="session")
        def lime_model():
            return CallableModel(classify, labels=["cat", "dog"])

        def test_it(lime):
            lime.check(IMAGE, "cat", HOLDS)
        """)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            '*lime.check(IMAGE, "cat", HOLDS)*',
            "*return table?*?",
            "E*KeyError: 'weights of the model'",
            "E*pytest-lime: raised inside CallableModel(classify) on a batch of shape (8, 3, 32, 32), *",
        ]
    )


def test_a_type_error_of_the_model_keeps_its_traceback(suite: Callable[..., None], run: Run) -> None:
    suite("""
        from pytest_lime import CallableModel

        def classify():
            return None

        @pytest.fixture(scope="session")
        def lime_model():
            return CallableModel(classify, labels=["cat", "dog"])

        def test_it(lime):
            lime.check(IMAGE, "cat", HOLDS)
        """)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E*TypeError: classify() takes 0 positional arguments but 1 was given", "E*pytest-lime: raised inside *"]
    )
