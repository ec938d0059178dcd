"""Configuration: TOML files to typed, checked records."""
