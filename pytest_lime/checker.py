"""The `lime` fixture: explains, judges, keeps the evidence, and raises."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import math
import os
import warnings
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_lime.agreement import OCCLUSION
from pytest_lime.baselines import Shelf
from pytest_lime.blas import undisturbed
from pytest_lime.cache import Cache
from pytest_lime.claims import Claim, check_signs, judge, unsettled
from pytest_lime.decisions import Decision
from pytest_lime.errors import (
    ClaimFailed,
    InconclusiveWarning,
    LimeError,
    OptionError,
    is_for_the_user,
    one_line,
    printable,
    user_error,
)
from pytest_lime.explainer import check_target, open_stream, run
from pytest_lime.explanation import Explanation, find_class
from pytest_lime.groups import SPREAD, Comparison, compare, too_few
from pytest_lime.images import Image, load_image, name_of
from pytest_lime.laboratory import Laboratory, check_network, intervene_beside
from pytest_lime.lookahead import MOST, MOST_ON_CPU, Lookahead, Request, scout
from pytest_lime.models import Model
from pytest_lime.options import LimeOptions, as_whole_number, check_number, resolve
from pytest_lime.prefetch import Prefetch
from pytest_lime.progress import Progress
from pytest_lime.provenance import arithmetic_facts, model_facts
from pytest_lime.records import PAGE, file_stem, harmless, plain
from pytest_lime.regions import Region, distinct_regions
from pytest_lime.report.evidence import describe, describe_comparison, draw, draw_thumb
from pytest_lime.sampling import sample
from pytest_lime.sets import CheckSet, ImageCheck, check_share
from pytest_lime.streams import Bench, SampleStream
from pytest_lime.trials import Trial, conclude, sampled
from pytest_lime.verdicts import Check, Verdict, barely_alive, open_claims
from pytest_lime.workers import plain_node_id

if TYPE_CHECKING:
    import pytest

__all__ = ["Lime"]

__tracebackhide__ = is_for_the_user

# Threads that decode and segment images while an accelerator works.
THREADS = 4
# What the images of a comparison cost together.
COSTS = ("samples", "passes", "seconds")


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
        How that folder is called in messages; empty where nothing may be written to it.
    inconclusive : ``"fail"``, ``"warn"`` or ``"pass"``
    draw_all : bool
        Draw pictures of checks that pass, too.
    failed_to_draw : callable
        Takes the reason why pictures could not be written; a test is never lost for it.
    cache : Cache, optional
        Where superpixels and samples are kept from check to check, and from run to run.
    progress : Progress
        Shows how far a long check is.
    device : callable
        What a device that is asked for is in this process.
    ahead : Lookahead
        What later tests will ask for.
    shelf : Shelf
        The baselines of the test.
    load : callable
        Returns the model of a ``"module:attribute"``, the same one each time.
    attempt : int
        How often the test was begun, this time included.
    called : callable
        Returns file and line where a check is called, as its record says it; None where that is not known.
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
        cache: Cache | None,
        progress: Progress,
        device: Callable[[str], str],
        ahead: Lookahead,
        shelf: Shelf,
        load: Callable[[str], Model],
        attempt: int = 1,
        called: Callable[[], Mapping[str, Any] | None] = lambda: None,
    ) -> None:
        self.model = model
        self._layers = layers
        self._place = place
        self._folder = folder
        self._shown = shown
        self._inconclusive = inconclusive
        self._draw_all = draw_all
        self._failed_to_draw = failed_to_draw
        self._cache = cache
        self._progress = progress
        self._device = device
        self._ahead = ahead
        self._shelf = shelf
        self._load = load
        self._attempt = attempt
        self._called = called
        self._closed = False
        # Taking the next number is atomic, so checks in threads do not share one.
        self._numbers = itertools.count()
        self._records: list[dict[str, Any]] = []
        self._unjudged: list[tuple[Explanation, Bench, dict[str, Any]]] = []
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
        _check_claims("lime.check", claims, Claim)
        _check_one_class("lime.check", target)
        request = Request(image, target, claims, options)
        resolved = self._resolve("lime.check", options)
        self._check_suits(claims, resolved)
        bench = self._bench(resolved)
        stream = self._ahead.take(request, bench) or self._open(bench, request)
        number = next(self._numbers)
        asked = _Asked(number, claims, Decision(stream, claims), {"called": self._called()})
        ((_, check, where),) = self._settle(bench, iter([stream]), {id(stream): asked}, images=1)
        self._raise_or_warn(check, where)
        return check

    @user_error
    def check_all(
        self,
        images: Iterable[Any],
        target: Any,
        *claims: Claim | Callable[[Any], Claim],
        mostly: float = 1.0,
        **options: Any,
    ) -> CheckSet:
        """Make the same check of many images, which share batches; fail the test if too few of them hold.

        Images that are still open get the next samples, and the next image is decoded and segmented while the model
        works on this one. Only what the verdicts say of an image is kept, so that their number costs no memory.

        Parameters
        ----------
        images : iterable
            Each as `check` takes it.
        target : label, index, or None for the class that is predicted for each image
        *claims : Claim, or function of an image that returns one
            At least one. A function is called with each of `images`, as it was given, such as
            ``lambda path: mass(load_regions(path.with_suffix(".json"))["cat"], at_least=0.5)``. It runs in the
            thread that decodes and segments the images.
        mostly : float in (0, 1]
            The share of the images for which every claim must hold. Once it is decided whether so many do, the images
            that are left are not looked at.
        **options
            As for `check`.

        Returns
        -------
        CheckSet
            The verdicts on each image, and on the set.

        Raises
        ------
        ClaimFailed
            Fewer images hold than `mostly` asks for, or it is open whether they do, under
            ``--lime-inconclusive=fail``.
        LimeError
            An argument, an image, a region or the model is not as it must be.
        """
        called = self._called()
        _check_claims("lime.check_all", claims, (Claim, Callable))
        _check_one_class("lime.check_all", target)
        share = check_share("lime.check_all: mostly", mostly)
        listed = _listed(images)
        resolved = self._resolve("lime.check_all", options)
        outcomes: dict[int, ImageCheck] = {}
        first, kept = len(self._records), len(self._shelf.used)
        with self._sampled_images(
            "lime.check_all", listed, target, claims, options, share=share, called=called
        ) as settled:
            for place, check, where in settled:
                # Regions may be masks of the size of the image, and what belongs to the record is in it.
                verdicts = tuple(
                    dataclasses.replace(verdict, regions=(), details={}, beside=None) for verdict in check.verdicts
                )
                name = check.explanation.image.name
                outcomes[place] = ImageCheck(name, check.status, verdicts, check.headline, where)
                found = CheckSet(
                    tuple(outcomes[number] for number in sorted(outcomes)), share, len(listed), resolved.confidence
                )
                if found.status != "inconclusive" and len(self._shelf.used) == kept:
                    # The images to come cannot change it, and have no baselines to write or to compare with.
                    break
        # In the order of the images, not in that in which they were decided.
        self._records[first:] = sorted(self._records[first:], key=lambda record: int(record["set"]["number"]))
        unseen = [_name_in_list(image, place) for place, image in enumerate(listed) if place not in outcomes]
        for record in self._records[first:]:
            record["set"]["status"] = found.status
            # Once is enough.
            if unseen:
                record["set"]["unseen"], unseen = [printable(name) for name in unseen], []
            if found.status == "pass" and record["status"] != "pass":
                record["reason"] = found.headline
        self._raise_or_warn(found, self._shown and f"{self._shown}/{PAGE}")
        return found

    @user_error
    def compare_groups(
        self,
        groups: Mapping[str, Iterable[Any]],
        target: Any,
        statistic: Claim | Callable[[Any], Claim],
        *,
        margin: float,
        rate: bool = False,
        paired: bool = False,
        source: Callable[[Any], Hashable] | None = None,
        spread: float | None = None,
        **options: Any,
    ) -> Comparison:
        """Compare what a claim measures between groups of images; fail the test if two groups differ by `margin`.

        Parity is shown, not assumed: the test passes only where all groups are surely within `margin` of each other,
        by two one-sided tests for each pair; what is neither surely within nor surely beyond is inconclusive. The unit
        is the image, never the mask. See `pytest_lime.groups.compare` for the tests.

        Parameters
        ----------
        groups : mapping from name to images
            Two or more, each with images as `check` takes them.
        target : label, index, or None for the class that is predicted for each image
        statistic : Claim, or function of an image that returns one
            Its estimate is what is compared, such as the share of the weight of ``mass(region, at_least=0.5)``,
            whatever its bound.
        margin : float
            What counts as alike, in units of the estimate.
        rate : bool
            Compare how often the claim holds instead.
        paired : bool
            Both of two groups show the same things in the same order, such as each image with and without a mark; they
            are compared image by image, by sign flips.
        source : function of an image, optional
            What several images come from, such as the patient: their figures are averaged, and count as one.
        spread : float, optional
            The standard deviation that is expected between images (of the differences, where paired). Without any
            chance of a pass the images are not looked at, and the test is inconclusive; default 0.2, or 0.5 for rates.
        **options
            As for `check`. Under ``samples="auto"`` each image is sampled until its own figure is known to within half
            of the margin, or for a rate until the claim is decided.

        Returns
        -------
        Comparison

        Raises
        ------
        ClaimFailed
            Two groups surely differ by more than the margin, or it is open whether they do, under
            ``--lime-inconclusive=fail``.
        LimeError
            An argument, an image, a region or the model is not as it must be.
        """
        caller, called = "lime.compare_groups", self._called()
        margin = check_number(f"{caller}: margin", margin, 0, ends=False)
        for name, flag in {"rate": rate, "paired": paired}.items():
            if not isinstance(flag, bool):
                raise OptionError(f"{caller}: {name}={one_line(flag)} must be True or False.")
        _check_claims(caller, (statistic,), (Claim, Callable))
        _check_one_class(caller, target)
        listed = {name: _listed(images, f"{caller}: group {name!r}") for name, images in _named_groups(groups).items()}
        resolved = self._resolve(caller, options)
        if target is not None and (labels := self._bench(resolved).labels) is not None:
            find_class(target, labels)
        if isinstance(statistic, Claim) and not rate:
            _check_one_figure(caller, statistic)
        if source is None:
            _check_once(listed)
        units = {name: _units(images, paired, source) for name, images in listed.items()}
        _check_units(units, paired=paired, rate=rate, source=source)
        sizes = {name: len(set(each)) for name, each in units.items()}
        expected = (0.5 if rate else SPREAD) if spread is None else spread
        lacking = too_few(sizes, margin=margin, confidence=resolved.confidence, spread=expected, paired=paired)
        # Not the region, which may be another for each image.
        named = printable(str(statistic.name)) if isinstance(statistic, Claim) else "the figure"
        what = f"how often {named} holds" if rate else named
        number = next(self._numbers)
        if lacking:
            seen = _Seen({})
            found = Comparison(
                statistic=what, groups=(), differences=(), margin=margin, confidence=resolved.confidence,
                paired=paired, rates=rate, too_few=lacking,
            )  # fmt: skip
        else:
            seen = self._measure(caller, listed, target, statistic, options, narrow=None if rate else margin / 2)
            found = compare(
                {name: list(zip(each, seen.figures(name), strict=True)) for name, each in units.items()},
                margin=margin,
                confidence=resolved.confidence,
                paired=paired,
                rates=rate,
                seed=resolved.seed,
                statistic=what,
            )
            if seen.unknown:
                what = "whether the claim holds is not known"
                if not rate:
                    what = f"the figure is not known to half of the margin, {margin / 2:.3g}"
                told = f"{what} of {seen.unknown} of {seen.cost['images']} images: raise max_samples"
                found = dataclasses.replace(found, notes=(*found.notes, told))
        record = describe_comparison(
            found,
            sizes=sizes,
            # The images themselves are the units, but where they have sources.
            names={name: seen.names(name) for name in seen.groups if source is None},
            unit="pair" if paired else "source" if source else "image",
            text=_written(statistic),
            target=seen.target(target),
            cost=seen.facts,
            options=resolved,
            hashes=seen.hashes,
            extra={**self._extra(number), **self._facts(self._bench(resolved), None), "called": called},
        )
        self._raise_or_warn(found, self._file(record, found.message))
        return found

    def _measure(
        self,
        caller: str,
        listed: Mapping[str, Sequence[Any]],
        target: Any,
        statistic: Claim | Callable[[Any], Claim],
        options: Mapping[str, Any],
        *,
        narrow: float | None,
    ) -> _Seen:
        """Return the figure of each image to within `narrow`; without it, whether the claim holds."""
        images = [image for each in listed.values() for image in each]
        seen = _Seen(listed)
        with self._sampled_images(caller, images, target, (statistic,), options, narrow=narrow or 0.0) as settled:
            for place, check, _ in settled:
                verdict = check.verdicts[0]
                if narrow is not None and not all(map(math.isfinite, verdict.interval)):
                    raise OptionError(
                        f"{caller}: image {place + 1} of {len(images)} has no figure to compare: "
                        f"{verdict.note or verdict.figure}; choose another statistic."
                    )
                if narrow is None:
                    # Where it is open whether the claim holds, the estimate says so.
                    figure = float(verdict.holds if verdict.status == "inconclusive" else verdict.status == "pass")
                    known = verdict.status != "inconclusive"
                else:
                    figure, known = verdict.estimate, _is_known(verdict, narrow)
                seen.add(place, figure, check.explanation, known=known)
        return seen

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
        bench = self._bench(resolve(("lime.explain", options), *self._layers))
        try:
            explanation = run(
                bench,
                image,
                target,
                top_labels=top_labels,
                regions=regions,
                opinions=opinions,
                notify=self._progress,
            )
        finally:
            self._progress.clear()
        self._unjudged.append((explanation, bench, {"called": self._called()}))
        return explanation

    def look_ahead(
        self, test: str, coming: Iterable[pytest.Item], layers: Callable[[pytest.Item], list[tuple[str, Any]]]
    ) -> None:
        """Begin with `test`, and make ready what those that come will check, as far as that can be told.

        `layers` returns the options of marker, command line and ini file of a test.
        """
        items = {plain_node_id(item): item for item in itertools.islice(coming, MOST)}
        for name in self._ahead.begin(test, list(items)):
            # Whatever is wrong with a test to come it will say itself.
            with contextlib.suppress(Exception):
                request = scout(items[name])
                if request is None:
                    continue
                _check_claims("lime.check", request.claims, Claim)
                _check_one_class("lime.check", request.target)
                bench = self._bench(resolve(("lime.check", request.options), *layers(items[name])))
                if list(items).index(name) < (MOST if bench.engine.device.type != "cpu" else MOST_ON_CPU):
                    self._ahead.expect(name, request, bench, functools.partial(self._open, bench, request))

    @contextlib.contextmanager
    def _sampled_images(
        self,
        caller: str,
        listed: Sequence[Any],
        target: Any,
        claims: Sequence[Claim | Callable[[Any], Claim]],
        options: Mapping[str, Any],
        *,
        share: float | None = None,
        called: Mapping[str, Any] | None = None,
        narrow: float | None = None,
    ) -> Iterator[Iterator[tuple[int, Check, str]]]:
        """Give an iterator of the place, check and whereabouts of each image, as they are decided.

        `share` is that of the images that must hold, where they are one set, and keeps a record of each, which says
        where it was `called`. `narrow` asks for the first claim's figure to within so much, rather than for a decision;
        0 asks for that.
        """
        resolved = self._resolve(caller, options)
        bench = self._bench(resolved)
        # Here, not in the thread that opens the images.
        _ = bench.asked
        numbers = [next(self._numbers) if share else 0 for _ in listed]
        places: dict[int, _Asked] = {}
        test = self._place["test"]
        shared = {"id": f"set-{self._extra(numbers[0])['id']}", "name": test.partition("::")[2] or test}

        def opened(place: int) -> SampleStream:
            image, which = listed[place], f"image {place + 1} of {len(listed)}"
            with _naming(which, f"{which}, {one_line(image)}, before the model saw it"):
                made = tuple(claim if isinstance(claim, Claim) else _made(claim, image, caller) for claim in claims)
                self._check_suits(made, resolved)
                if narrow:
                    # Of a function's claim this is seen only now.
                    _check_one_figure(caller, made[0])
                loaded = load_image(image)
                if not isinstance(image, str | os.PathLike):
                    # Arrays have no names of their own.
                    loaded = dataclasses.replace(loaded, name=_name_in_list(loaded, place))
                # What is compared needs no evidence of its own.
                stream = self._open(bench, Request(loaded, target, made, options), evidence=share is not None)
            counted = {"number": place + 1, "of": len(listed), "mostly": share, "status": "inconclusive"}
            facts = {"called": called, "set": {**shared, **counted}}
            decision = Decision(stream, made, narrow or 0.0, races=share is not None)
            places[id(stream)] = _Asked(numbers[place], made, decision, facts if share else None, place, which)
            return stream

        accelerated = bench.engine.device.type != "cpu"
        threads = THREADS if accelerated else 1
        # Beside an accelerator looks set no number of threads, and several images are made at once.
        make = opened if accelerated else undisturbed()(opened)
        with contextlib.closing(Prefetch(make, range(len(listed)), threads=threads)) as streams:
            # A processor has nothing better to do than to make the next image; an accelerator does not wait for it.
            coming = streams if accelerated else (stream for stream in streams)
            with contextlib.closing(self._settle(bench, coming, places, images=len(listed))) as settled:
                yield settled

    def close(self) -> None:
        """End with the test: what is checked later would stand in no report."""
        self._closed = True

    def _resolve(self, caller: str, options: Mapping[str, Any]) -> LimeOptions:
        """Return the options of a check; each rerun of a test may go on for as many samples again."""
        if self._closed:
            raise OptionError(
                f"{caller}: this lime belongs to the test {self._place['test']!r}, which has ended; take the fixture "
                "lime in each test that uses it."
            )
        resolved = resolve((caller, options), *self._layers)
        return dataclasses.replace(resolved, max_samples=self._attempt * resolved.max_samples)

    def _check_suits(self, claims: Sequence[Claim], options: LimeOptions) -> None:
        """Refuse, before any pass, claims that neither these options nor this model can answer."""
        check_signs(claims, options)
        for claim in claims:
            if claim.needs_network:
                check_network(self.model, printable(str(claim.name)))

    def _bench(self, options: LimeOptions) -> Bench:
        device = options.device
        if device == "auto":
            # A model that says nothing of devices stays on the processor.
            device = str(getattr(self.model, "device", "cpu"))
        return Bench(self.model, options, self._cache, device=self._device(device))

    def _open(self, bench: Bench, request: Request, *, evidence: bool = True) -> SampleStream:
        opinions = [opinion for claim in request.claims for opinion in claim.asked()]
        stream = open_stream(
            bench,
            request.image,
            check_target(request.target, 1),
            regions=[region for claim in request.claims for region in claim.areas()],
            # The evidence of every check says how far occlusion agrees.
            opinions=[*opinions, OCCLUSION] if evidence else opinions,
            decides=True,
            beside=[other for claim in request.claims for other in claim.classes()],
        )
        intervening = [claim for claim in request.claims if evidence or (isinstance(claim, Trial) and claim.intervenes)]
        intervene_beside(stream, distinct_regions(region for claim in intervening for region in claim.areas()))
        return stream

    def _settle(
        self,
        bench: Bench,
        streams: Iterator[SampleStream],
        places: dict[int, _Asked],
        *,
        images: int,
    ) -> Generator[tuple[int, Check, str]]:
        """Sample until the claims on each image are decided; keep the record of each, and say where it stands.

        `places` has what is asked of each stream, by its id.
        """
        latest: dict[int, Check] = {}

        def decide(stream: SampleStream, explanation: Explanation) -> tuple[int, int]:
            asked = places[id(stream)]
            with _naming(asked.which):
                check = latest[id(stream)] = judge(explanation, sampled(asked.claims))
            asked.decision.note(check)
            early = sum(unsettled(explanation, claim) for claim in asked.claims)
            return max(asked.open(check), early), len(asked.claims)

        settled = sample(
            bench.engine,
            streams,
            decide=decide,
            ahead=lambda: self._ahead.streams(bench),
            notify=self._progress,
            images=images,
        )
        try:
            for stream, explanation in settled:
                asked = places.pop(id(stream))
                asked.decision.keep()
                lab = Laboratory(stream, explanation, self._shelf, self._load)
                with _naming(asked.which):
                    judged = asked.decision.attach(latest.pop(id(stream)))
                    check = conclude(judged, asked.claims, lab, evidence=asked.facts is not None)
                passes = explanation.passes + lab.passes
                check = dataclasses.replace(check, explanation=dataclasses.replace(explanation, passes=passes))
                told = self._shelf.take_told()
                facts = asked.facts if asked.facts is None or not told else {**asked.facts, "baselines": told}
                where = "" if facts is None else self._keep(check, asked.number, bench, facts, lab)
                yield asked.place, check, where
        finally:
            settled.close()
            self._progress.clear()

    @property
    def baselines(self) -> list[str]:
        """The files of baselines that this test has asked for, whether they are there or not."""
        return self._shelf.used

    def take_records(self, *, failed: bool) -> list[dict[str, Any]]:
        """Hand over the records of the checks made since the last call.

        With `failed`, explanations of this test that no claim judged become evidence too, since a
        plain assertion about one of them may be what failed.
        """
        unjudged, self._unjudged = self._unjudged, []
        if failed:
            for explanation, bench, facts in unjudged:
                self._keep(Check(explanation, ()), next(self._numbers), bench, facts)
        records, self._records = self._records, []
        return records

    def _keep(
        self, check: Check, number: int, bench: Bench, facts: Mapping[str, Any], lab: Laboratory | None = None
    ) -> str:
        """Record `check`, draw what the report will show, and return where it will stand."""
        drawn = self._draw_all or check.status != "pass" or not check.verdicts
        made_with = self._facts(bench, len(check.explanation.prediction))
        record = describe(check, extra={**self._extra(number), **made_with, **facts}, whole=drawn)
        # Of a set that fails or stays open, the images that pass are shown, too; else the report leaves them out.
        if self._shown and (drawn or "set" in facts):
            try:
                if drawn:
                    hidden = lab.hidden(check.interventions) if lab else {}
                    record["pictures"] = draw(check, self._folder, record["id"], hidden=hidden)
                else:
                    record["pictures"] = draw_thumb(check, self._folder, record["id"])
            except OSError as error:
                self._failed_to_draw(f"{error.strerror or error} ({error.filename or self._folder})")
        failed = f"an assertion about {check.explanation!r} failed"
        return self._file(record, check.message if check.verdicts else lambda where: failed)

    def _extra(self, number: int) -> dict[str, Any]:
        """Return what a record says of where its check stands."""
        repeat = self._place.get("repeat")
        stem = file_stem(self._place["test"], number)
        return {
            # Of a test that is made several times, no picture may replace another.
            "id": f"{stem}-{repeat}" if repeat else stem,
            "check": number,
            **self._place,
            "attempt": self._attempt,
        }

    def _facts(self, bench: Bench, classes: int | None) -> dict[str, Any]:
        """Return what a record says of what its figures were made with."""
        return {"model": model_facts(bench, classes), "arithmetic": arithmetic_facts(bench)}

    def _file(self, record: dict[str, Any], message: Callable[[str], str]) -> str:
        """Keep `record` with its message, which names where it will stand, and return that."""
        where = self._shown and f"{self._shown}/{PAGE}#{record['id']}"
        # Plain JSON values from here on. What cannot be written costs its place in the record, and no test its result.
        # Not where the report is: it may be moved, or be merged into another.
        made = {**record, "message": message("")}
        try:
            self._records.append(plain(made))
        except (TypeError, ValueError, RecursionError) as error:
            self._records.append(plain(harmless(made)))
            self._failed_to_draw(f"{error} (the record of {record['test']})")
        return where

    def _raise_or_warn(self, check: Check | CheckSet | Comparison, where: str) -> None:
        status = check.status
        if status == "fail" or (status == "inconclusive" and self._inconclusive == "fail"):
            raise ClaimFailed(check.message(where))
        if status == "inconclusive" and self._inconclusive == "warn":
            told = ": ".join(filter(None, (check.headline, check.leaning)))
            remedy = check.remedy if isinstance(check, Comparison) else "raise max_samples (or samples)"
            warnings.warn(
                InconclusiveWarning(f"{told}; {remedy}, or say --lime-inconclusive=fail"),
                stacklevel=4,
            )


class _Seen:
    """What is kept of the images of `groups`, which are looked at in any order."""

    def __init__(self, groups: Mapping[str, Sequence[Any]]) -> None:
        ends = list(itertools.accumulate(map(len, groups.values()), initial=0))
        self.groups = dict(zip(groups, map(range, ends, ends[1:]), strict=True))
        self.cost: dict[str, Any] = {"images": 0, "samples": 0, "passes": 0, "seconds": 0.0, "device": ""}
        self.unknown = 0
        self._figures: dict[int, float] = {}
        self._names: dict[int, str] = {}
        self._hashes: dict[int, str] = {}
        self._target: tuple[int, str] | None = None

    def add(self, place: int, figure: float, explanation: Explanation, *, known: bool) -> None:
        """Take the figure of the image at `place`, and whether it is known as well as was asked."""
        self.unknown += not known
        self._figures[place], self._names[place] = figure, explanation.image.name
        self._hashes[place] = explanation.image.sha256
        self._target = explanation.targets[0], explanation.labels[0]
        self.cost["images"] += 1
        for name in COSTS:
            self.cost[name] += getattr(explanation, name)
        self.cost["device"] = explanation.device

    @property
    def facts(self) -> dict[str, Any]:
        """What a record says of the cost."""
        return {**self.cost, "seconds": round(self.cost["seconds"], 3)}

    @property
    def hashes(self) -> dict[str, str]:
        """For each group the hash of the hashes of its images, a line each, in their order."""
        return {
            name: hashlib.sha256("".join(f"{self._hashes[place]}\n" for place in places).encode()).hexdigest()
            for name, places in self.groups.items()
        }

    def figures(self, group: str) -> list[float]:
        """Return the figures of a group, in the order of its images."""
        return [self._figures[place] for place in self.groups[group]]

    def names(self, group: str) -> list[str]:
        """Return what the images of a group are called."""
        return [self._names[place] for place in self.groups[group]]

    def target(self, asked: Any) -> dict[str, Any]:
        """Return index and label of the class that was `asked` for; both None where it is each image's own."""
        if asked is None:
            return {"index": None, "label": None}
        if self._target is None:
            index = as_whole_number(asked)
            return {"index": index, "label": str(asked) if index is None else None}
        return {"index": self._target[0], "label": self._target[1]}


@dataclasses.dataclass(frozen=True, eq=False)
class _Asked:
    """What is asked of one stream.

    Attributes
    ----------
    number : int
        Of the check within its test.
    claims : tuple of Claim
    decision : Decision
        The way to it.
    facts : dict or None
        What its record says besides; None keeps no record.
    place : int
        Of the image among those of its set.
    which : str
        What errors call the image, where there are several.
    """

    number: int
    claims: tuple[Claim, ...]
    decision: Decision
    facts: dict[str, Any] | None
    place: int = 0
    which: str = ""

    def open(self, check: Check) -> int:
        """Return how many claims more samples should decide."""
        narrow = self.decision.narrow
        if not narrow or not check.verdicts:
            return open_claims(check)
        verdict = check.verdicts[0]
        dead = verdict.samples > 0 and barely_alive(check.explanation)
        return int(dead or not _is_known(verdict, narrow))


def _is_known(verdict: Verdict, narrow: float) -> bool:
    """Whether a figure lies within `narrow` to either side."""
    low, high = verdict.interval
    return high - low <= 2 * narrow


@contextlib.contextmanager
def _naming(which: str, told: str = "") -> Iterator[None]:
    """Let errors name `which` of several images they are about, those of users' code in a note that says `told`."""
    try:
        yield
    except LimeError as error:
        if not which:
            raise
        raise type(error)(f"{which}: {error}") from error.__cause__
    except Exception as error:
        if which:
            error.add_note(f"pytest-lime: raised for {told or which}")
        raise


def _check_claims(caller: str, claims: tuple[Any, ...], kind: Any) -> None:
    if not claims:
        raise OptionError(f"{caller}: no claim is given; add one, such as top_overlap(region, k=4, at_least=3).")
    for claim in claims:
        # A claim's own function, not called, would make claims of images.
        home = getattr(claim, "__module__", "")
        uncalled = home in (Claim.__module__, Trial.__module__) and not isinstance(claim, Claim)
        if not isinstance(claim, kind) or isinstance(claim, type) or uncalled:
            # A claim that was not called prints as an address, which says little.
            name = getattr(claim, "__name__", "")
            shown = f"{name}, which is not called," if name else one_line(claim)
            raise OptionError(
                f"{caller}: {shown} is no claim; after {'images' if 'all' in caller else 'image'} and target come "
                "claims, such as mass(region, at_least=0.5), and options by name."
            )


def _check_one_class(caller: str, target: Any) -> None:
    if isinstance(target, list | tuple):
        raise OptionError(f"{caller}: target={one_line(target)} must be one class; make one check for each.")


def _listed(images: Any, where: str = "lime.check_all: images") -> list[Any]:
    single = isinstance(images, str | bytes | os.PathLike) or hasattr(images, "shape") or hasattr(images, "mode")
    # Neither of a mapping nor of a set is it clear which images, in which order, are meant.
    if single or isinstance(images, Mapping | set | frozenset) or not isinstance(images, Iterable):
        raise OptionError(
            f"{where}={one_line(images)} must be a list of images, such as sorted(folder.glob('*.png')); lime.check "
            "takes one."
        )
    listed = list(images)
    if not listed:
        raise OptionError(f"{where}=[] holds no image; look whether the folder and pattern are right.")
    return listed


def _name_in_list(image: Any, place: int) -> str:
    """Return what one of several images is called."""
    name = image.name if isinstance(image, Image) else name_of(image)
    return name if isinstance(image, str | os.PathLike) else f"{name} {place + 1}"


def _written(statistic: Any) -> str:
    """Return a claim as it is written in code; of a function, and of a class that says nothing else, nothing."""
    silent = repr(statistic) == object.__repr__(statistic)
    return one_line(statistic, 400) if isinstance(statistic, Claim) and not silent else ""


def _named_groups(groups: Any) -> Mapping[str, Any]:
    if not isinstance(groups, Mapping) or len(groups) < 2 or not all(name and isinstance(name, str) for name in groups):
        raise OptionError(
            f"lime.compare_groups: groups={one_line(groups)} must map the names of two groups or more to their "
            "images, such as {'light': light, 'dark': dark}."
        )
    return groups


def _units(images: Sequence[Any], paired: bool, source: Callable[[Any], Hashable] | None) -> list[Hashable]:
    """Return what each image counts for: its source, its place where images are paired, or itself."""
    if source is None:
        return list(range(len(images)))
    if paired:
        raise OptionError(
            "lime.compare_groups: paired=True compares images by their place in both groups, and source= by what they "
            "come from; give one of the two."
        )
    if not callable(source):
        raise OptionError(f"lime.compare_groups: source={one_line(source)} must be a function of an image.")
    units = [source(image) for image in images]
    for unit, image in zip(units, images, strict=True):
        try:
            # NaN is not itself, and of tensors those of the same values are different ones.
            one = isinstance(unit, np.generic) or not hasattr(unit, "shape")
            known = one and hash(unit) is not None and bool(unit == unit)  # noqa: PLR0124
        except Exception:  # whatever a user's object does when it is compared
            known = False
        if not known:
            raise OptionError(
                f"lime.compare_groups: source returned {one_line(unit)} for {one_line(image)}; it must return "
                "something that can be compared, such as a text or a number."
            )
    return units


def _check_once(groups: Mapping[str, Sequence[Any]]) -> None:
    """Refuse an image that is given twice: it would count as two, and two groups would not be independent."""
    seen: dict[Any, str] = {}
    for name, images in groups.items():
        for image in images:
            key = os.path.realpath(image) if isinstance(image, str | os.PathLike) else id(image)
            if key in seen:
                twice = f"in group {name!r}" if seen[key] == name else f"in the groups {seen[key]!r} and {name!r}"
                raise OptionError(
                    f"lime.compare_groups: {one_line(image)} is given twice, {twice}, and would count as two images: "
                    "leave one out."
                )
            seen[key] = name


def _check_one_figure(caller: str, claim: Claim) -> None:
    if not claim.one_figure:
        instead = "predicted(at_least=…, rank=None)" if claim.name == "predicted" else "another claim"
        raise OptionError(
            f"{caller}: the figure of {one_line(claim)} is now of one kind and now of another, which cannot be "
            f"compared: give {instead}, or compare how often it holds with rate=True."
        )


def _check_units(units: Mapping[str, list[Hashable]], *, paired: bool, rate: bool, source: Any) -> None:
    """Refuse, before any pass, what cannot be compared."""
    sizes = {name: len(each) for name, each in units.items()}
    if paired and (len(units) != 2 or len(set(sizes.values())) != 1):
        raise OptionError(
            f"lime.compare_groups: paired=True compares two groups of as many images, not {one_line(sizes)}."
        )
    if rate and source is not None:
        raise OptionError(
            "lime.compare_groups: rate=True counts images that hold, and source= averages those of one source; give "
            "one of the two."
        )
    seen: set[Hashable] = set()
    for name, each in units.items() if source is not None else ():
        if shared := seen & set(each):
            raise OptionError(
                f"lime.compare_groups: source {one_line(next(iter(shared)))} is in group {name!r} and in another, so "
                "that they are not independent: leave it out of one, or compare with paired=True."
            )
        seen |= set(each)


def _made(function: Callable[[Any], Any], image: Any, caller: str) -> Claim:
    claim = function(image)
    if not isinstance(claim, Claim):
        name = getattr(function, "__name__", one_line(function))
        raise OptionError(f"{caller}: {name} returned {one_line(claim)} for {one_line(image)}; it must return a claim.")
    return claim
