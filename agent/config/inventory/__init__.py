"""Inventory files of `tanshu calc`: read, resolve factors, compute, sum."""
