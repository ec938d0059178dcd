"""The central service: subscribe, verify, store, book, receipt."""
