"""The one seam to the operating system, with a side for Windows and one for POSIX."""
