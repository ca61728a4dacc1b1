"""Neural fields: hash grid and frequency encodings, deformation, canonical space, and the cine composed of them."""
