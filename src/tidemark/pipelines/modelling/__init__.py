"""Stage 3: every cell of every study is trained, judged, drawn and concluded by one code."""
