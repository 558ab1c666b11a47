"""What other programs say in English, recognised in one table a program: their new wording costs one line here."""
