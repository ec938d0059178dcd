"""What follows from the accounts: allowances, plans, potentials."""
