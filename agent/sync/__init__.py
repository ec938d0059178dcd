"""Delivery over MQTT: connection, publisher, receipts."""
