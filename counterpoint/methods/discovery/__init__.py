"""Category discovery: some classes have labels, others have to be found."""
