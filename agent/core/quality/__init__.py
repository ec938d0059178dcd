"""How far readings can be trusted; every doubt carries its reason."""
