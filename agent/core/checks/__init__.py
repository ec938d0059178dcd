"""The three levels of checks: completeness, plausibility, review."""
