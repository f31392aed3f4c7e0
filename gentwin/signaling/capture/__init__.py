"""Captures of the N2 and N4 interfaces: what was carried in them, and captures written of what was said.

Files are pcap and pcapng, plain or gzip. Reading and writing stream: memory does not grow with the file.
"""

from gentwin.signaling.capture.packets import REASONS, Packet
from gentwin.signaling.capture.reader import CaptureReader, read_capture
from gentwin.signaling.capture.writer import write_capture

__all__ = ["REASONS", "CaptureReader", "Packet", "read_capture", "write_capture"]
