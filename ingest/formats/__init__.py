"""Wire formats, one small file each: what devices, phones and other servers send.

`contract` says what an adapter is, `registry` which there are. To write the next one, read
`docs/formats.md`.
"""
