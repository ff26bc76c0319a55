"""The environment: what figures depend on, besides model, image and options."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform

__all__ = ["describe_arithmetic", "describe_environment", "versions_of"]

PACKAGES = ("pytest-lime", "pytest", "torch", "numpy", "scikit-image", "scikit-learn", "pillow")


# Those whose versions can move a weight.
ARITHMETIC = ("pytest-lime", "torch", "numpy", "scikit-image", "pillow")


def describe_environment() -> dict[str, str]:
    """Return the versions of packages, of Python and of the platform, by name."""
    return {
        **versions_of(PACKAGES),
        "python": platform.python_version(),
        "platform": platform.platform(terse=True) + f" {platform.machine()}",
    }


def describe_arithmetic() -> dict[str, str]:
    """Return what can move a weight besides model, image, options and device: versions, and the kind of machine."""
    return {**versions_of(ARITHMETIC), "machine": f"{platform.system()} {platform.machine()}"}


def versions_of(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the version of each package that is installed."""
    versions = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
