"""HTML pages in one file that needs nothing else: the style of our reports, pictures inside, tables."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

_STILL_WIDTH_PX = 640

_STYLE = """
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; color: #1e293b; background: #f8fafc; }
body { max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.note { color: #64748b; } .bad { color: #b91c1c; font-weight: 600; }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; }
.tile { background: #fff; border: 1px solid #e2e8f0; border-radius: 8px; padding: .5rem .9rem; min-width: 7rem; }
.tile b { display: block; font-size: 1.5rem; } .tile.alarm b { color: #b91c1c; }
table { border-collapse: collapse; background: #fff; } th, td { border: 1px solid #e2e8f0; padding: .25rem .7rem; }
th { text-align: left; font-weight: 500; } td { text-align: right; } .facts td { text-align: left; }
svg[role="img"] { width: 100%; background: #fff; border: 1px solid #e2e8f0; border-radius: 8px; }
svg[role="img"] text { font-size: 11px; fill: #475569; } .grid { stroke: #e2e8f0; }
.mark { stroke: #b91c1c; stroke-width: 2; }
.stills { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: .6rem; }
figure { margin: 0; } figure img { width: 100%; display: block; border-radius: 4px; }
figcaption { color: #64748b; font-size: .85rem; }
.headline { margin: 1rem 0 .6rem; } .headline .tile { border-color: #bfdbfe; background: #eff6ff; }
.figure { background: #fff; border: 1px solid #e2e8f0; border-radius: 8px; margin: .6rem 0; overflow: hidden; }
.pair { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: .6rem; }
.pair .figure { min-width: 0; margin: 0; } td.text { text-align: left; }
details table { margin-bottom: .8rem; }
summary { cursor: pointer; color: #2563eb; margin: .4rem 0; }
"""


def page(title: str, body: str) -> str:
    """A whole HTML document."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def figure(caption: str, picture: NDArray[np.uint8], width_px: int = _STILL_WIDTH_PX) -> str:
    """A <figure> with a BGR picture `(H, W, 3)`, made smaller where it is wider than `width_px`."""
    if picture.shape[1] > width_px:
        height = round(picture.shape[0] * width_px / picture.shape[1])
        picture = np.asarray(cv2.resize(picture, (width_px, height), interpolation=cv2.INTER_AREA), np.uint8)
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
    source = f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"
    return f'<figure><img alt="{escape(caption)}" src="{source}"><figcaption>{escape(caption)}</figcaption></figure>'


def facts_table(facts: Mapping[str, str]) -> str:
    """A <table> of names and texts."""
    rows = [f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts.items()]
    return f'<table class="facts">{"".join(rows)}</table>'
