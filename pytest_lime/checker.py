"""The `lime` fixture: explains, judges, keeps the evidence, and raises."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_lime.claims import Claim, check_signs, judge
from pytest_lime.errors import ClaimFailed, InconclusiveWarning, OptionError, is_for_the_user, one_line, user_error
from pytest_lime.explainer import run
from pytest_lime.explanation import Explanation
from pytest_lime.models import Model
from pytest_lime.options import LimeOptions, resolve
from pytest_lime.records import file_stem
from pytest_lime.regions import Region
from pytest_lime.report.evidence import describe, draw
from pytest_lime.verdicts import Check

__all__ = ["Lime"]

__tracebackhide__ = is_for_the_user


class Lime:
    """Checks where a model looks, inside one test; what the `lime` fixture gives.

    Parameters
    ----------
    model : Model
        From the `lime_model` fixture.
    layers : sequence of (where, options)
        Options of the marker, the command line and the ini file, the strongest first.
    place : mapping
        Where the test stands: ``test`` (node id), ``file``, ``line``, ``rerun``.
    folder : Path
        Of the report.
    shown : str
        How that folder is called in messages.
    inconclusive : ``"fail"``, ``"warn"`` or ``"pass"``
    draw_all : bool
        Draw pictures of checks that pass, too.
    failed_to_draw : callable
        Takes the reason why pictures could not be written; a test is never lost for it.
    """

    def __init__(
        self,
        model: Model,
        *,
        layers: Sequence[tuple[str, Mapping[str, Any]]],
        place: Mapping[str, Any],
        folder: Path,
        shown: str,
        inconclusive: str,
        draw_all: bool,
        failed_to_draw: Callable[[str], None],
    ) -> None:
        self.model = model
        self._layers = layers
        self._place = place
        self._folder = folder
        self._shown = shown
        self._inconclusive = inconclusive
        self._draw_all = draw_all
        self._failed_to_draw = failed_to_draw
        # Taking the next number is atomic, so checks in threads do not share one.
        self._numbers = itertools.count()
        self._records: list[dict[str, Any]] = []
        self._unjudged: list[Explanation] = []
        # A misspelt marker or ini value is told before any image is read.
        self.options: LimeOptions = resolve(*layers)

    def __repr__(self) -> str:
        return f"<lime: explains {self.model!r}>"

    @user_error
    def check(self, image: Any, target: Any, *claims: Claim, **options: Any) -> Check:
        """Explain `image` and judge every claim; fail the test if one does not hold.

        Parameters
        ----------
        image : path, PIL image, array or tensor
        target : label, index, or None for the predicted class
        *claims : Claim
            At least one.
        **options
            The fields of `LimeOptions`; stronger than marker, command line and ini file.

        Returns
        -------
        Check
            The explanation and the verdicts.

        Raises
        ------
        ClaimFailed
            A claim does not hold, or is inconclusive under ``--lime-inconclusive=fail``.
        LimeError
            An argument, the image, a region or the model is not as it must be.
        """
        if not claims:
            raise OptionError("lime.check: no claim is given; add one, such as top_overlap(region, k=4, at_least=3).")
        given: tuple[Any, ...] = claims
        for claim in given:
            if not isinstance(claim, Claim):
                # A claim that was not called prints as an address, which says little.
                name = getattr(claim, "__name__", "")
                shown = f"{name}, which is not called," if name else one_line(claim)
                raise OptionError(
                    f"lime.check: {shown} is no claim; after image and target come claims, such as "
                    "mass(region, at_least=0.5), and options by name."
                )
        if isinstance(target, list | tuple):
            raise OptionError("lime.check: target must be one class; make one check for each.")
        resolved = resolve(("lime.check", options), *self._layers)
        check_signs(claims, resolved)
        explanation = run(
            self.model,
            image,
            target,
            resolved,
            regions=[region for claim in claims for region in claim.areas()],
            opinions=[opinion for claim in claims for opinion in claim.asked()],
        )
        check = judge(explanation, claims)
        where = self._keep(check)
        self._raise_or_warn(check, where)
        return check

    @user_error
    def explain(
        self,
        image: Any,
        target: Any = None,
        *,
        top_labels: int = 1,
        regions: Region | Sequence[Region] = (),
        opinions: str | Sequence[str] = (),
        **options: Any,
    ) -> Explanation:
        """Explain `image` with the options of this test, for assertions of your own.

        If the test fails, the report shows the explanation.

        Parameters
        ----------
        image, target, top_labels, regions, opinions, **options
            As for `pytest_lime.explain`.

        Returns
        -------
        Explanation
        """
        resolved = resolve(("lime.explain", options), *self._layers)
        explanation = run(
            self.model, image, target, resolved, top_labels=top_labels, regions=regions, opinions=opinions
        )
        self._unjudged.append(explanation)
        return explanation

    def take_records(self, *, failed: bool) -> list[dict[str, Any]]:
        """Hand over the records of the checks made since the last call.

        With `failed`, explanations of this test that no claim judged become evidence too, since a
        plain assertion about one of them may be what failed.
        """
        if failed:
            unjudged, self._unjudged = self._unjudged, []
            for explanation in unjudged:
                self._keep(Check(explanation, ()))
        records, self._records = self._records, []
        return records

    def _keep(self, check: Check) -> str:
        """Record `check`, draw what the report will show, and return where it will stand."""
        number = next(self._numbers)
        stem = file_stem(self._place["test"], number)
        record = describe(check, extra={"id": stem, "check": number, **self._place})
        where = f"{self._shown}/index.html#{stem}"
        record["message"] = (
            check.message(where) if check.verdicts else f"an assertion about {check.explanation!r} failed"
        )
        if record["status"] != "pass" or self._draw_all:
            try:
                record["pictures"] = draw(check, self._folder, stem)
            except OSError as error:
                self._failed_to_draw(f"{error.strerror or error} ({error.filename or self._folder})")
        # Plain JSON values from here on: what cannot be written is an error of this test, not of the whole run.
        self._records.append(json.loads(json.dumps(record, allow_nan=False)))
        return where

    def _raise_or_warn(self, check: Check, where: str) -> None:
        status = check.status
        if status == "fail" or (status == "inconclusive" and self._inconclusive == "fail"):
            raise ClaimFailed(check.message(where))
        if status == "inconclusive" and self._inconclusive == "warn":
            open_claims = [verdict for verdict in check.verdicts if verdict.status == "inconclusive"]
            leaning = "; ".join(
                f"{verdict.text}: {verdict.sentence}, the estimate alone {'holds' if verdict.holds else 'fails'}"
                + (f" ({verdict.note})" if verdict.note else "")
                for verdict in open_claims
            )
            warnings.warn(
                InconclusiveWarning(f"{check.headline}: {leaning}; raise samples, or say --lime-inconclusive=fail"),
                stacklevel=4,
            )
