"""Reads real package files: .swu, .raucb, .mender, plain. Pure; `reading.read` is where to begin.

Files come from suppliers and are not trusted: whatever is in them, reading ends with facts or with a refusal, in
bounded memory, and in a time bounded by the file's length.
"""
