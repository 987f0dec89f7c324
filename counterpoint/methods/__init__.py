"""One file per paper; the folder is the family of data it was written for, its name the slug."""
