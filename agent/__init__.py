"""Tanshu: edge gateway agent for chemical plants."""

__version__ = "0.1.0"
