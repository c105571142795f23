"""The whole pipeline under load: real servers, the real service, devices that speak real MQTT."""
