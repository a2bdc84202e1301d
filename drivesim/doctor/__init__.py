"""What a machine has, where it may write, which data lie there, and whether it computes right."""

from .examination import examine
from .finding import Finding

__all__ = ["Finding", "examine"]
