"""pytest-lime: where does my image classifier look? Tests with a verdict.

Everything public is imported on first use, so that loading the package, or the
plugin in a run that never explains an image, costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_lime.checker import Lime
    from pytest_lime.claims import (
        Claim,
        agrees_with,
        contrast,
        density_gap,
        fidelity,
        mass,
        pointing,
        predicted,
        top_iou,
        top_overlap,
    )
    from pytest_lime.errors import (
        BaselineError,
        CacheWarning,
        ClaimFailed,
        ClaimWarning,
        ImageError,
        InconclusiveWarning,
        LimeError,
        ModelError,
        OptionError,
        RecordError,
        RegionError,
        SegmentationError,
        SuiteError,
        TargetError,
    )
    from pytest_lime.explainer import explain
    from pytest_lime.explanation import Explanation
    from pytest_lime.models import (
        CallableModel,
        HuggingFaceModel,
        Model,
        OnnxModel,
        SklearnModel,
        TimmModel,
        TorchModel,
    )
    from pytest_lime.options import LimeOptions
    from pytest_lime.region_files import load_regions
    from pytest_lime.regions import Box, Ellipse, Mask, Polygon, Region, whole
    from pytest_lime.regression import unchanged
    from pytest_lime.trials import Trial, faithful, invariant, necessity, no_reliance, sane, stable, sufficiency
    from pytest_lime.verdicts import Verdict

__version__ = "0.1.0"

_HOMES = {
    "checker": ("Lime",),
    "claims": (
        "Claim",
        "agrees_with",
        "contrast",
        "density_gap",
        "fidelity",
        "mass",
        "pointing",
        "predicted",
        "top_iou",
        "top_overlap",
    ),
    "errors": (
        "BaselineError",
        "CacheWarning",
        "ClaimFailed",
        "ClaimWarning",
        "ImageError",
        "InconclusiveWarning",
        "LimeError",
        "ModelError",
        "OptionError",
        "RecordError",
        "RegionError",
        "SegmentationError",
        "SuiteError",
        "TargetError",
    ),
    "explainer": ("explain",),
    "explanation": ("Explanation",),
    "models": (
        "CallableModel",
        "HuggingFaceModel",
        "Model",
        "OnnxModel",
        "SklearnModel",
        "TimmModel",
        "TorchModel",
    ),
    "options": ("LimeOptions",),
    "region_files": ("load_regions",),
    "regions": ("Box", "Ellipse", "Mask", "Polygon", "Region", "whole"),
    "trials": (
        "Trial",
        "faithful",
        "invariant",
        "necessity",
        "no_reliance",
        "sane",
        "stable",
        "sufficiency",
    ),
    "regression": ("unchanged",),
    "verdicts": ("Verdict",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BaselineError",
    "Box",
    "CacheWarning",
    "CallableModel",
    "Claim",
    "ClaimFailed",
    "ClaimWarning",
    "Ellipse",
    "Explanation",
    "HuggingFaceModel",
    "ImageError",
    "InconclusiveWarning",
    "Lime",
    "LimeError",
    "LimeOptions",
    "Mask",
    "Model",
    "ModelError",
    "OnnxModel",
    "OptionError",
    "Polygon",
    "RecordError",
    "Region",
    "RegionError",
    "SegmentationError",
    "SklearnModel",
    "SuiteError",
    "TargetError",
    "TimmModel",
    "TorchModel",
    "Trial",
    "Verdict",
    "agrees_with",
    "contrast",
    "density_gap",
    "explain",
    "faithful",
    "fidelity",
    "invariant",
    "load_regions",
    "mass",
    "necessity",
    "no_reliance",
    "pointing",
    "predicted",
    "sane",
    "stable",
    "sufficiency",
    "top_iou",
    "top_overlap",
    "unchanged",
    "whole",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
