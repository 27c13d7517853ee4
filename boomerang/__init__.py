"""Boomerang distillation: distil a teacher once, then compose a model of any size.

The method is in this package and needs neither web, queue nor database; importing it loads no
tensor library. Terms are those of the paper (arXiv 2510.05064): *teacher*, *student*, *block*,
*patch*, *intermediate model*.
"""

__version__ = "0.1.0"
