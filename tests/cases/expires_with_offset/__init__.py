"""Expires in the server's own zone: its digits are read as UTC (spring-projects/spring-session#1514)."""
