"""The verifier that every pack holds, in parts; `evidence.single_file` puts them into one program.

It is written apart from the program that seals, from the description of the formats, and runs on
Python 3.9 with nothing but the standard library. Parts import each other by name only, so that
they can stand one after the other in one file.
"""
