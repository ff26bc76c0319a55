"""The environment: what figures depend on, besides model, image and options."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform

__all__ = ["describe_environment"]

PACKAGES = ("pytest-lime", "pytest", "torch", "numpy", "scikit-image", "scikit-learn", "pillow")


def describe_environment() -> dict[str, str]:
    """Return the versions of packages, of Python and of the platform, by name."""
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {
        **versions,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True) + f" {platform.machine()}",
    }
