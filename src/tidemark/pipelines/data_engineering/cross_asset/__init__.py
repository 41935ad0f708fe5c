"""The cross-asset study's data: from several sources to clean levels and aligned returns."""
