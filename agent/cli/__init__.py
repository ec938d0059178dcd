"""The `tanshu` command: one module per group, imported when it is called."""
