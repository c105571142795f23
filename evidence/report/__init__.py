"""The report of a pack for people: PDF, drawn without anything from the internet.

Made out of the shown records alone, the same bytes for the same records.
"""
