"""DA-INR: a deformation field and a canonical field fitted to one scan alone."""
