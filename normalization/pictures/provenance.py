"""Where a picture came from, written into the picture: IPTC's digital source type in an XMP packet.

It is the only metadata that we write. See https://cv.iptc.org/newscodes/digitalsourcetype/ for the vocabulary.
"""

from __future__ import annotations

import enum

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class DigitalSource(enum.StrEnum):
    """The kinds of origin that this gateway can vouch for."""

    TRAINED = "trainedAlgorithmicMedia"
    """Made by a model trained on sampled content."""
    ALGORITHMIC = "algorithmicMedia"
    """Made by rules alone."""


def packet(source: DigitalSource) -> bytes:
    """The XMP packet that says so, UTF-8."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f' Iptc4xmpExt:DigitalSourceType="{VOCABULARY}{source.value}"/>'
        "</rdf:RDF></x:xmpmeta>"
        '<?xpacket end="r"?>'
    ).encode()
