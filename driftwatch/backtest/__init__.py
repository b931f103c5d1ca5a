"""Many checks over history: every window's verdict, the pages there would have been, what they predict."""
