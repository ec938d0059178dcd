"""Accounting functions: pure, one module per kind of source, each with its formula and source.

Equation numbers 8, 13 and 14 of the NDRC 2013 guide are confirmed by the ministry's supplementary
tables; the others, and the text of GB/T 32151.10-2023, are known through secondary transcriptions.
"""
