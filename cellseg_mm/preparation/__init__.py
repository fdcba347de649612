"""From raw data sets to the prepared layout: reading, checking, splitting, writing."""
