"""Drawings as SVG, pure: figures in, markup out."""
