"""From an image and a model to an explanation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pytest_lime.cache import Cache
from pytest_lime.errors import OptionError, TargetError, one_line, user_error
from pytest_lime.explanation import Explanation
from pytest_lime.models.protocol import Model, check_model
from pytest_lime.opinions import check_opinions
from pytest_lime.options import as_whole_number, resolve
from pytest_lime.regions import Region, as_region
from pytest_lime.sampling import sample
from pytest_lime.scenes import look_at
from pytest_lime.states import State
from pytest_lime.streams import Bench, SampleStream, TopLabels

__all__ = ["check_target", "explain", "open_stream", "run"]


@user_error
def explain(
    model: Model,
    image: Any,
    target: Any = None,
    *,
    top_labels: int = 1,
    regions: Region | Sequence[Region] = (),
    opinions: str | Sequence[str] = (),
    cache: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Explanation:
    """Explain which superpixels of `image` speak for `target`.

    Parameters
    ----------
    model : Model
        `TorchModel`, `CallableModel`, or any object that follows the protocol `Model`.
    image : path, PIL image, array or tensor
        As `pytest_lime.images.load_image` takes it.
    target : label, index, None, or a list of labels and indices
        The class explained; None is the one that the model predicts. Of several, each
        has a row in `Explanation.weights`, and all come from the same samples.
    top_labels : int
        Without `target`: explain so many classes, those that the model gives the highest scores.
    regions : Region or sequence of Region
        Superpixels are split along their borders (unless ``align_to_regions=False``).
    opinions : str or sequence of str
        Other methods to ask, for `Explanation.agreement`: ``"occlusion"``, ``"gradcam"`` or
        ``"gradcam:LAYER"``, LAYER the name of a module of the network.
    cache : path, optional
        A folder in which superpixels and samples are kept, so that nothing is computed twice; it is made where there
        is none.
    **options
        The fields of `LimeOptions`. ``samples="auto"`` is 1,000 here, where no claim is to be decided.

    Returns
    -------
    Explanation

    Raises
    ------
    LimeError
        An argument, the image, a region or what the model returns is not as it must be.

    Notes
    -----
    LIME for images: Ribeiro, Singh and Guestrin, KDD 2016. With the same masks and
    ``alpha=1`` weights, intercept and score equal those of ``lime`` 0.2.0.1.
    """
    resolved = resolve(("explain", options))
    kept = None if cache is None else Cache(_folder(cache))
    bench = Bench(check_model(model), resolved, kept)
    return run(bench, image, target, top_labels=top_labels, regions=regions, opinions=opinions)


def run(
    bench: Bench,
    image: Any,
    target: Any,
    *,
    top_labels: Any = 1,
    regions: Any = (),
    opinions: Any = (),
    notify: Callable[[State], None] = lambda state: None,
) -> Explanation:
    """Explain as `explain` does, with a model and options that are checked already."""
    stream = open_stream(bench, image, check_target(target, top_labels), regions=regions, opinions=opinions)
    ((_, explanation),) = sample(stream.bench.engine, [stream], notify=notify)
    return explanation


def open_stream(
    bench: Bench,
    image: Any,
    target: Any,
    *,
    regions: Any = (),
    opinions: Any = (),
    decides: bool = False,
    beside: Sequence[Any] = (),
) -> SampleStream:
    """Look at `image` and return its stream; the arguments are checked here, but for `target` (`check_target`)."""
    listed = regions if isinstance(regions, Iterable) else [regions]
    checked = [as_region(region, "regions") for region in listed]
    asked = check_opinions(opinions)
    scene = look_at(bench.model, image, bench.options, regions=checked, cache=bench.cache)
    return SampleStream(bench, scene, target, opinions=asked, decides=decides, beside=beside)


def _folder(path: Any) -> Path:
    wrong = OptionError(f"cache={one_line(path)} must be the path of a folder, or None.")
    if path in ("", b""):
        raise wrong
    try:
        folder = Path(path)
        if b"\0" in os.fsencode(folder):
            raise wrong
        is_file = folder.exists() and not folder.is_dir()
    except (TypeError, ValueError, OSError):
        raise wrong from None
    if is_file:
        raise OptionError(f"cache={one_line(str(path))} is a file; name a folder.")
    return folder


def check_target(target: Any, top_labels: Any) -> Any:
    """Return what a stream takes as its target: `target`, or `TopLabels` where there is none.

    Raises
    ------
    TargetError
        `top_labels` is no whole number of at least 1, or is given beside a target.
    """
    count = as_whole_number(top_labels)
    if count is None or count < 1:
        raise TargetError(f"top_labels={one_line(top_labels)} must be a whole number of at least 1.")
    if target is None:
        return TopLabels(count)
    if count != 1:
        raise TargetError(
            f"top_labels={top_labels} asks for the classes of highest score, and target={one_line(target)} names them; "
            "give one of the two."
        )
    return target
