"""`danhao doctor`: one page that says what is wrong and what to do about it."""
