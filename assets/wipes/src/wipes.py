#!/usr/bin/env python3
"""Draws the masks of luma wipes: what is dark is uncovered first. Needs numpy and Pillow.

Usage: wipes.py DIRECTORY
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 320, 180


def unit(values):
    """Stretched to 0 to 1, in ranks: so that each share of the time uncovers the same share of the picture."""
    ranks = values.ravel().argsort(kind="stable").argsort().reshape(values.shape)
    return ranks / (values.size - 1)


def clouds(rng):
    """Noise that is smooth over a few scales."""
    total = np.zeros((HEIGHT, WIDTH))
    for cells, weight in [(4, 1.0), (8, 0.5), (16, 0.2)]:
        grid = Image.fromarray(rng.random((cells * 9 // 16 + 2, cells + 2)).astype(np.float32))
        total += weight * np.asarray(grid.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    return total


def masks():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    x, y = (x + 0.5) / WIDTH, (y + 0.5) / HEIGHT
    dx, dy = (x - 0.5) * 16 / 9, y - 0.5
    radius, angle = np.hypot(dx, dy), (np.arctan2(dx, -dy) / (2 * np.pi)) % 1
    rng = np.random.default_rng(20261125)
    noise = clouds(rng)
    yield "blinds", (x * 10) % 1 + 0.02 * x
    yield "checker", ((x * 8) % 1 + ((x * 8).astype(int) + (y * 4.5).astype(int)) % 2)
    yield "clouds", noise
    yield "diagonal", x * 16 / 9 + y
    yield "diamond", abs(dx) + abs(dy)
    yield "paint", unit(x) + 0.35 * unit(noise)
    yield "ripple", radius + 0.04 * np.sin(radius * 40)
    yield "spiral", (angle + 2 * radius) % 1 + 0.1 * radius


def main():
    directory = Path(sys.argv[1])
    for name, values in masks():
        Image.fromarray((unit(values) * 255).round().astype(np.uint8)).save(directory / f"{name}.png", optimize=True)


main()
