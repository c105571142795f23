"""A second verifier, for a browser: `evidence.single_file` puts the parts into one page.

Written apart from `evidence.verifier`, in another language, with hash functions and signatures of its
own: where both come to the same verdict, neither's mistakes are behind it. It asks no network, which
its content security policy forbids.
"""
