"""virtlab: a training lab kit about virtualization and containers."""

__version__ = "0.1.0"
