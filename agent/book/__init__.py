"""The book: windows and emissions with their revisions, shared by gateway and ledger."""
