"""What people do to a running bridge: audited actions, what they see of it, and its metrics."""
