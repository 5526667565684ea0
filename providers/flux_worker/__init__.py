"""The GPU worker's room: `protocol` is the wire, `words` its constants, `adapter` our side of it. Modular's `max serve`
speaks it too.
"""
