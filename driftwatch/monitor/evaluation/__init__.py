"""One window evaluated, from its summary to the verdict. Pure: no file, clock or socket."""
