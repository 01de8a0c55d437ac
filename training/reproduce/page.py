"""tables.md: head, tables, claims and plots of a reproduction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.reproduce.config import ReproduceConfig
from training.reproduce.header import header
from training.reproduce.tables import claim_tables, result_tables
from training.reproduce.verdicts import Measured


def page(config: ReproduceConfig, command: Sequence[str], pictures: Sequence[Path]) -> str:
    """The whole file as Markdown; pictures lie beside it."""
    images = "\n".join(f"![{picture.stem.replace('_', ' ')}]({picture.name})" for picture in pictures)
    parts = [header(config, command), result_tables(config), claim_tables(config, Measured(config)), images]
    return "\n\n".join(part for part in parts if part) + "\n"
