"""The domain: people, devices, orders and conditions (the caseload), and what devices report."""
