"""The gateway service: wires buses, recorder, pipeline, delivery and pages together."""
