"""Pure domain core: values in, values out, no I/O."""
