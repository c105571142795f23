"""Geodesy, tracks, proximity and zones: arrays in, arrays out.

Nothing in this room does I/O, reads a clock or knows what a person is. It works on the index of
a track, the index of a watch and instants in microseconds, so that the same input gives the same
output to the bit, today and when a court asks for it again.
"""
