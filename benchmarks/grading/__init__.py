"""Grades how like the rows of one database another's are; knows data sets as files and nothing of how rows are made."""
