"""lime.check with second opinions, and claims that need a sign: what users read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
NETWORK = """
    import pytest
    import torch
    from pytest_lime import TorchModel

    @pytest.fixture(scope="session")
    def lime_model():
        torch.manual_seed(0)
        net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 5, stride=4),
            torch.nn.ReLU(inplace=True),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(8, 3),
        )
        return TorchModel(net, size=32, labels=["cat", "dog", "bird"], device="cpu")
    """
WITHOUT_CAPTUM = """
    import sys

    class Missing:
        def find_spec(self, name, *_):
            if name == "captum":
                raise ModuleNotFoundError("No module named 'captum'", name=name)

    for name in [name for name in sys.modules if name.partition(".")[0] == "captum"]:
        del sys.modules[name]
    sys.meta_path.insert(0, Missing())
    """
# Three superpixels speak only together, and a fourth alone: hiding one of the three costs more than hiding the
# fourth, and in the half of an image that LIME shows the three are rarely together.
PRELUDE = """
        from pytest_lime.claims import agrees_with
        from pytest_lime.testing import PlantedModel

        PLANTED = PlantedModel({(0, 1, 2): 1.0, (3,): 0.5}, d=4)
        """


def test_occlusion_passes_and_fails_in_words(
    suite: Callable[..., None], pytester: pytest.Pytester, run: Run, report: Report
) -> None:
    suite(
        PRELUDE
        + """
        def test_passes(lime):
            check = lime.check(IMAGE, "bird", agrees_with("occlusion", at_least=0.5), samples=400)
            assert list(check.explanation.opinions) == ["occlusion"]
            assert check.verdicts[0].estimate == check.explanation.agreement("occlusion") > 0.9

        class TestPlanted:
            @pytest.fixture(scope="class")
            def lime_model(self):
                return PLANTED

            def test_fails(self, lime):
                claims = [agrees_with("occlusion", at_least=0.4), agrees_with("occlusion", at_least=-1)]
                lime.check(PLANTED.image, "planted", *claims, **PLANTED.options)

            def test_plain_assertion(self, lime):
                explanation = lime.explain(PLANTED.image, "planted", opinions="occlusion", **PLANTED.options)
                assert explanation.complete
                assert explanation.agreement("occlusion") >= 0.4
        """
    )
    result = run()
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines_random(
        [
            "E*pytest_lime.ClaimFailed: 1 of 2 claims about 'planted' in 'array' failed.",
            "E*FAIL: occlusion ranks the superpixels as the weights for 'planted' do, with a rank correlation of at "
            "least 0.4",
            "E*found -*, needs at least 0.4; interval -* … -*",
            "E*PASS: occlusion ranks the superpixels as the weights for 'planted' do, *",
            "E*assert -* [[]-*, -*] >= 0.4",
        ]
    )
    record = report()["TestPlanted::test_fails#0"]
    assert [claim["claim"] for claim in record["claims"]] == ["agrees_with"] * 2
    first = record["claims"][0]
    assert (first["text"], first["status"], first["scale"]) == (
        "agrees_with('occlusion', at_least=0.4)",
        "fail",
        [-1, 1],
    )
    assert first["interval"][0] <= first["estimate"] <= first["interval"][1] < 0


def test_gradcam_of_a_network(
    suite: Callable[..., None], pytester: pytest.Pytester, run: Run, report: Report, insides: Callable[..., list[str]]
) -> None:
    pytest.importorskip("captum", reason="Grad-CAM needs the extra gradcam")
    suite(
        PRELUDE
        + """
        def test_both(lime):
            lime.check(IMAGE, None, agrees_with("gradcam", at_least=-1), agrees_with("gradcam:1", at_least=-1))

        def test_no_such_layer(lime):
            lime.check(IMAGE, None, agrees_with("gradcam:layer4", at_least=0.5))
        """
    )
    pytester.makeconftest(NETWORK)
    result = run("--lime-report-all")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        ["E*OptionError: gradcam:layer4: Sequential has no module 'layer4'; the last that keep a map are '0', '1'."]
    )
    assert insides(result) == []
    record = report()["test_both#0"]
    assert [claim["text"] for claim in record["claims"]] == [
        "agrees_with('gradcam', at_least=-1)",
        "agrees_with('gradcam:1', at_least=-1)",
    ]


def test_mistakes_are_told_in_one_sentence(
    suite: Callable[..., None], run: Run, insides: Callable[..., list[str]]
) -> None:
    suite(
        PRELUDE
        + """
        def test_misspelt(lime):
            lime.check(IMAGE, "bird", agrees_with("oclusion", at_least=0.5))

        def test_no_network(lime):
            lime.check(IMAGE, "bird", agrees_with("gradcam", at_least=0.5))

        def test_not_asked(lime):
            assert lime.explain(IMAGE, "bird", samples=50).agreement("occlusion") > 0.5

        @pytest.mark.lime(surrogate="tree")
        def test_no_sign(lime):
            lime.check("no such image.png", "bird", predicted(), mass(whole(), at_least=0.5))

        @pytest.mark.lime(surrogate="tree", samples=100)
        def test_no_sign_needed(lime):
            lime.check(IMAGE, "bird", predicted())

        def test_no_sign_of_a_regressor(lime):
            from sklearn.ensemble import RandomForestRegressor

            forest = RandomForestRegressor(n_estimators=2, random_state=0)
            lime.check(IMAGE, "bird", agrees_with("occlusion", at_least=0.5), surrogate=forest, samples=50)
        """
    )
    result = run()
    result.assert_outcomes(failed=5, passed=1)
    told = "asks what speaks for a class or against it, and the weights of surrogate="
    result.stdout.fnmatch_lines_random(
        [
            "E*OptionError: opinion 'oclusion' must be 'occlusion', 'gradcam', or 'gradcam:LAYER' with the name of a "
            "module of the network; the nearest is 'occlusion'.",
            "E*OptionError: gradcam needs a torch network (TorchModel, TimmModel, HuggingFaceModel); FakeModel has "
            "none: use 'occlusion'.",
            "E*OptionError: opinion 'occlusion' was not asked for (asked for: none): explain with "
            "opinions='occlusion'.",
            f"E*OptionError: mass {told}'tree' have no sign: choose 'ridge', 'linear' or 'lasso'.",
            f"E*OptionError: agrees_with {told}RandomForestRegressor(*) have no sign: *",
        ]
    )
    assert insides(result) == []


def test_without_captum_the_command_is_told(
    suite: Callable[..., None], pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The inner run shares this process: what its conftest.py blocks is let through again afterwards.
    import sys  # noqa: PLC0415  (next to what it is for)

    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    suite(
        PRELUDE
        + """
        def test_gradcam(lime):
            lime.check(IMAGE, None, agrees_with("gradcam", at_least=0.5))
        """
    )
    pytester.makeconftest(WITHOUT_CAPTUM + NETWORK)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E*OptionError: gradcam needs captum, which is not installed: pip install 'pytest-lime[[]gradcam]'."]
    )
