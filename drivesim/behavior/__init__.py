"""Who else decides: agents beside the ego."""
