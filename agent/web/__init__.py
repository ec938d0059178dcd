"""The local page and the HTTP API; reads a `GatewayView`, never the store."""
