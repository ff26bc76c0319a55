"""The claim `unchanged`: an explanation is as it was, or as another model's."""

from __future__ import annotations

import dataclasses
import inspect
import math
from typing import Any

from pytest_lime.baselines import Baseline, Change, Shelf, picture_of
from pytest_lime.claims import Claim
from pytest_lime.errors import BaselineError, OptionError, is_for_the_user, one_line, user_error
from pytest_lime.explanation import Explanation, check_k
from pytest_lime.options import check_number
from pytest_lime.records import BOUNDS
from pytest_lime.trials import Lab, Trial
from pytest_lime.verdicts import Layer, Relation, Verdict

__all__ = ["unchanged"]

__tracebackhide__ = is_for_the_user

# Masks of a baseline where their number is left open. Both sides have the same ones, so that few do.
SAMPLES = 512
# What each bound may be, which is also where its figure lies.
LIMITS = {
    "rank_correlation": (-1.0, 1.0),
    "jaccard": (0.0, 1.0),
    "change": (0.0, math.inf),
    "score": (0.0, math.inf),
}


@user_error
def unchanged(
    baseline: str | None = None,
    *,
    rank_correlation: float | None = 0.6,
    jaccard: float | None = 0.3,
    change: float | None = 0.5,
    score: float | None = 0.2,
    k: int = 4,
    reference: Any = None,
) -> Claim:
    """Claim that the explanation is as the stored one of this test, its baseline.

    Both are of the same superpixels, which the baseline stores, and of the same masks, in batches of one size. So no
    figure has a sampling error: an unchanged model on the same machine differs by exactly 0, and what rounding
    explains, as on another machine, counts as no change. The claim holds where all bounds do:

    - Spearman's rank correlation of all weights is at least `rank_correlation`;
    - of the `k` superpixels of largest positive weight, intersection over union is at least `jaccard`;
    - no weight changed by more than `change` of the largest weight before;
    - the score of the whole image changed by at most `score`.

    One more epoch of training of a small network moves ranks to a correlation of 0.74 to 0.96 (the middle 80 % of
    pictures), and its largest weight by 0.2 to 0.4; the defaults let that pass, as a change that is told.

    A missing baseline is an error, and only ``--lime-update`` or ``--lime-update-new-only`` writes one.

    Parameters
    ----------
    baseline : str, optional
        What tells baselines of one test apart; by default the image's name and the class.
    rank_correlation : float in [−1, 1], or None
    jaccard : float in [0, 1], or None
    change : float of at least 0, or None
        A share of the largest weight before.
    score : float of at least 0, or None
        In units of the score.
    k : int
    reference : Model, ``"module:attribute"``, or the name of a fixture, optional
        Compare with what this model does on the same superpixels and masks, instead of with a file.

    Raises
    ------
    OptionError
        An argument is not as above, or no bound is left.

    Notes
    -----
    C. Spearman, American Journal of Psychology 15, 1904. P. Jaccard, New Phytologist 11, 1912. With
    ``samples="auto"`` 512 masks are used, and a comparison takes as many as its baseline has.

    Examples
    --------
    >>> unchanged()
    unchanged()
    >>> unchanged("night", rank_correlation=0.9, score=None)
    unchanged('night', rank_correlation=0.9, score=None)
    """
    return _Unchanged(baseline, rank_correlation, jaccard, change, score, k, reference)


@dataclasses.dataclass(frozen=True, repr=False)
class _Unchanged(Trial):
    baseline: str | None
    rank_correlation: float | None
    jaccard: float | None
    change: float | None
    score: float | None
    k: int
    reference: Any
    name = "unchanged"
    one_figure = False

    def __post_init__(self) -> None:
        if self.baseline is not None and not (isinstance(self.baseline, str) and self.baseline.strip()):
            raise OptionError(f"unchanged: baseline={one_line(self.baseline)} must be a text that is not empty.")
        if self.baseline is not None and self.reference is not None:
            raise OptionError(
                "unchanged: baseline= compares with a file and reference= with another model; give one of the two."
            )
        for name, (low, high) in LIMITS.items():
            if getattr(self, name) is not None:
                check_number(f"unchanged: {name}", getattr(self, name), low, high)
        if all(getattr(self, name) is None for name in LIMITS):
            raise OptionError(f"unchanged: at least one of {', '.join(LIMITS)} must be a number; all are None.")
        check_k(self.k, name="unchanged: k")

    def __repr__(self) -> str:
        parts = [repr(self.baseline)] if self.baseline is not None else []
        parameters = inspect.signature(unchanged).parameters.values()
        defaults = {one.name: one.default for one in parameters if one.name not in ("baseline", "reference")}
        parts += [f"{name}={getattr(self, name)!r}" for name, value in defaults.items() if getattr(self, name) != value]
        parts += [f"reference={one_line(self.reference)}"] if self.reference is not None else []
        return f"unchanged({', '.join(parts)})"

    def conduct(self, lab: Lab) -> Verdict:
        check_k(self.k, lab.explanation.superpixels)
        if self.reference is not None:
            return self._beside(lab)
        shelf: Shelf | None = lab.shelf
        if shelf is None:
            raise OptionError("unchanged() compares with the baseline of a test: use it in lime.check.")
        explanation = lab.explanation
        name = self.baseline or f"{explanation.image.name}, {_called(lab)}"
        shelf.claim(name, explanation, given=self.baseline is not None)
        known = shelf.find(name) if shelf.mode != "update" else _found(shelf, name)
        if known is None:
            if shelf.mode == "compare":
                raise shelf.missing(name)
            return self._written(lab, shelf, name)
        why = known.differences(explanation)
        if explanation.options.samples != "auto" and explanation.samples != known.samples:
            why.append(f"samples were {known.samples:,} and are {explanation.samples:,}")
        if not why:
            now = _stored(shelf, name, lab.again(samples=known.samples, segments=known.segments))
            elsewhere = "; ".join(known.elsewhere(now.environment))
            if now.masks == known.masks:
                return self._compared(lab, shelf, known, now, elsewhere)
            why = [f"its masks are others, {elsewhere or 'drawn by another version'}"]
        if shelf.mode != "update":
            raise shelf.outdated(name, why)
        return self._written(lab, shelf, name, told=f"it was of something else: {'; '.join(why)}")

    def _compared(self, lab: Lab, shelf: Shelf, known: Baseline, now: Baseline, elsewhere: str) -> Verdict:
        """Judge what has changed; what counts as a change is written where that is asked for."""
        found = Change.between(known, now, self.k)
        updates = shelf.mode == "update"
        if updates and not (found.rounding and shelf.has_picture(known.name)):
            return self._written(lab, shelf, known.name, told=found.words)
        shelf.tell(known.name, "kept" if updates else "compared", found.words)
        against = shelf.shown(known.name)
        notes = [f"compared with {against}", "" if found.nothing else f"{found.words}; exact for the same masks"]
        if elsewhere and not found.nothing:
            notes.append(f"the baseline was made elsewhere ({elsewhere})")
        if known.image["sha256"] != now.image["sha256"] and not found.nothing:
            notes.append("the pixels of the image are not the very same: its file was edited, or decoded otherwise")
        verdict = self._verdict(found, lab.explanation, "it did in its baseline", notes)
        return _detailed(verdict, found, known, now, against)

    def _beside(self, lab: Lab) -> Verdict:
        """Compare with another model."""
        samples = _samples(lab)
        before, now = (
            Baseline.of(lab.again(samples=samples, model=model), test="", name="", environment={})
            for model in (self.reference, None)
        )
        found = Change.between(before, now, self.k)
        against = one_line(self.reference)
        notes = [f"compared with {against}", f"{found.words}; exact for the same {samples:,} masks"]
        verdict = self._verdict(found, lab.explanation, "another model does", notes)
        return _detailed(verdict, found, before, now, against)

    def _written(self, lab: Lab, shelf: Shelf, name: str, told: str = "") -> Verdict:
        """Write the baseline of `name`, and say so."""
        now = lab.again(samples=_samples(lab))
        stored = _stored(shelf, name, now)
        shelf.put(stored, picture_of(now))
        action = "updated" if told else "written"
        shelf.tell(name, action, told)
        same = Change.between(stored, stored, self.k)
        notes = [f"{shelf.shown(name)} was {action}", told]
        verdict = self._verdict(same, lab.explanation, "it did in its baseline", notes)
        return _detailed(verdict, same, stored, stored, shelf.shown(name))

    def _verdict(self, found: Change, explanation: Explanation, whose: str, notes: list[str]) -> Verdict:
        first, second = found.score
        figures: dict[str, tuple[str, float, Relation]] = {
            "rank_correlation": ("rank correlation", found.rank_correlation, ">="),
            "jaccard": (f"Jaccard index of the top {self.k}", found.jaccard, ">="),
            "change": ("largest change of a weight", 0.0 if found.rounding else found.change, "<="),
            "score": ("change of the score", 0.0 if found.rounding else abs(second - first), "<="),
        }
        made = [
            Verdict(
                meaning=f"the model looks at {explanation.image.name!r} for {explanation.labels[0]!r} as {whose}",
                estimate=figure,
                interval=(figure, figure),
                relation=relation,
                bound=getattr(self, name),
                figure=f"{words} {figure:.3g}" if not found.nothing else "no change at all",
                asks=f"a {words} of {BOUNDS[relation]} {getattr(self, name):.3g}",
                scale=LIMITS[name],
                top=min(self.k, explanation.superpixels),
                note="; ".join(filter(None, notes)),
            )
            for name, (words, figure, relation) in figures.items()
            if getattr(self, name) is not None
        ]
        # The figure shown is the one that decides: the first that breaks its bound.
        return next((verdict for verdict in made if verdict.status == "fail"), made[0])


def _detailed(verdict: Verdict, found: Change, before: Baseline, now: Baseline, against: str) -> Verdict:
    """Return `verdict` with what its record and its picture show of the change from `before` to `now`."""
    return dataclasses.replace(
        verdict,
        details={
            "change": {
                "against": against,
                "rank_correlation": found.rank_correlation,
                "jaccard": found.jaccard,
                "largest": {
                    "superpixel": found.where,
                    "before": float(before.weights[found.where]),
                    "after": float(now.weights[found.where]),
                },
                "entered": list(found.entered),
                "left": list(found.left),
                "score": list(found.score),
                "weights": before.weights.tolist(),
            }
        },
        beside=Layer(before.segments, before.weights),
    )


def _samples(lab: Lab) -> int:
    """Return how many masks a comparison takes where no baseline says it."""
    given = lab.explanation.options.samples
    return SAMPLES if given == "auto" else int(given)


def _called(lab: Lab) -> str:
    """Return what tells the class from others in a baseline's name."""
    explanation = lab.explanation
    if not lab.named:
        # Which class is predicted may change, and that is a change to tell.
        return "predicted class"
    label = explanation.labels[0]
    return label if explanation.class_names.count(label) == 1 else f"{label} {explanation.targets[0]}"


def _found(shelf: Shelf, name: str) -> Baseline | None:
    """Return the baseline of `name`; None where it is to be replaced whatever it is."""
    try:
        return shelf.find(name)
    except BaselineError:
        return None


def _stored(shelf: Shelf, name: str, explanation: Explanation) -> Baseline:
    environment = {**shelf.environment, "device": explanation.device}
    return Baseline.of(explanation, test=shelf.test, name=name, environment=environment)
