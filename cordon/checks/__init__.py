"""What ``cordon doctor`` looks at. A check is one function in one of these modules' `CHECKS`."""
