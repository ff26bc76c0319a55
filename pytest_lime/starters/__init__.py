"""Starter suites: what ``pytest-lime init`` writes, as plain files beside the module that writes them."""
