# Results delivered by time, in order and as they come; a column of panels for each input, a row for each backend.
table = tables.'order.tsv'
list = ""; loads = ""
stats table using (list = note(list, strcol(2)), loads = note(loads, strcol(1)), column("results")) nooutput
eval needs_points
most = STATS_max
if (strstrt(loads, "pareto straggler")) { loads = "straggler pareto" }
rows = words(list) < 1 ? 1 : words(list); panels = words(loads) < 1 ? 1 : words(loads)
height = 110 + 330 * rows
eval canvas(1100, height)
set multiplot layout rows,panels margins screen 0.1,screen 0.98,screen 85.0/height,screen 1-45.0/height spacing screen 0.06,screen 85.0/height
set yrange [0:1.06*most]
set ytics 0,most/4
is(l, b) = strcol(1) eq l && strcol(2) eq b
ordered = rgb("#D55E00"); unordered = rgb("#0072B2")
# Every line counts in these sums, so that a panel without intervals, or without rows, is no error.
up(x) = (greatest = x == x && x > greatest ? x : greatest, x)
title_of(l) = l eq "straggler" ? "one slow task at the front" : l eq "pareto" ? "heavy-tailed tasks" : l
do for [r=1:rows] { do for [p=1:panels] {
	b = word(list, r); l = word(loads, p)
	greatest = 0
	stats table using (is(l, b) ? (up(column("imap_ms")), up(column("unordered_ms"))) : 0) nooutput
	last = greatest > 0 ? greatest : 1
	stats table using (is(l, b) && valid(9) ? up(column("unordered_high")) : 0) nooutput
	if (greatest > last) { last = greatest < 1.6*last ? greatest : 1.6*last }
	set xrange [0:1.04*last]
	set title b.": ".title_of(l) offset 0,-0.5
	set xlabel (r == rows ? "ms since the start of the call" : "")
	set ylabel (p == 1 ? "results delivered" : "")
	set label 1 "imap_unordered" at graph 0.03, graph 0.93 left textcolor rgb unordered
	set label 2 "imap" at graph 0.97, graph 0.07 right textcolor rgb ordered
	plot table using (is(l, b) ? column("unordered_ms") : NaN):(column("results")):(column("imap_ms")-column("unordered_ms")):(0) \
			with vectors nohead lw 3 lc rgb "#e6e0d2", \
	     table using (is(l, b) ? column("unordered_ms") : NaN):(column("results")) with steps lw 2.5 lc rgb unordered, \
	     table using (is(l, b) ? column("imap_ms") : NaN):(column("results")) with steps lw 2.5 lc rgb ordered, \
	     table using (is(l, b) && int(column("results")) % 32 == 16 ? column("unordered_ms") : NaN):(column("results")):(column("unordered_low")):(column("unordered_high")) \
			with xerrorbars lc rgb unordered pt 7 ps 0.8*mark_size, \
	     table using (is(l, b) && int(column("results")) % 32 == 0 ? column("imap_ms") : NaN):(column("results")):(column("imap_low")):(column("imap_high")) \
			with xerrorbars lc rgb ordered pt 5 ps 0.8*mark_size
} }
unset multiplot
