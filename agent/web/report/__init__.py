"""A monthly report put into words: for the page, for print, and as a workbook."""
