"""The vendor's room: what customers' reports and cases say."""
