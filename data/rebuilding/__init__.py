"""What `data/rebuild.py` does: read members of packages, build tables, write and compare them."""
