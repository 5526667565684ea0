"""The operator's configuration: read from a file or made from the environment, checked as a whole, then frozen."""

from gateway.config.embedded import embedded
from gateway.config.load import load
from gateway.config.model import Settings
from gateway.config.report import effective, warnings
from gateway.config.schema import schema

__all__ = ["Settings", "effective", "embedded", "load", "schema", "warnings"]
