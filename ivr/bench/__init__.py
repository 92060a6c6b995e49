"""Measurements that README quotes, one command each: `ivr bench NAME`."""
