"""Signaling of the 5G core: captures, codecs, security, dialogues and a reference core."""
