"""MQTT in: payloads (`payload`), the broker connection (`hub`), devices (`device`)."""
