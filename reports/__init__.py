"""Tables, figures and reproduce-paper: from records to the report, without torch."""
