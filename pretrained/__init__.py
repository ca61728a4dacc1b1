"""The MDSR weights that ship with dainr, and the scripts that made them."""
