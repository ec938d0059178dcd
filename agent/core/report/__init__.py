"""The monthly report as values: figures, totals, rounding, what is signed."""
