"""Charts as SVG, as PNG for cards: a family's quality by size, its layers, a run's loss."""
