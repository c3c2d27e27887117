# What one task costs through each call: chunk 1 (left) and the automatic chunk (right; an apply has none).
eval canvas(1100, 620)
table = tables.'overhead.tsv'
calls = "imap_unordered imap starmap_async starmap map_async map apply_async apply"
list = ""
stats table using (list = note(list, strcol(1)), column("ns_per_task")) nooutput
eval needs_points
least = STATS_min; most = STATS_max
stats table using (valid(5) ? column("low") : column("ns_per_task")) nooutput
if (STATS_min < least) { least = STATS_min }
stats table using (valid(6) ? column("high") : column("ns_per_task")) nooutput
if (STATS_max > most) { most = STATS_max }
set multiplot layout 1,2 margins 0.2,0.975,0.265,0.92 spacing 0.03,0
set logscale x 10
set xrange [0.6*least:1.8*most]
set xtics ('1 ns' 1, '' 10, '100 ns' 100, '' 1e3, '10 us' 1e4, '' 1e5, '1 ms' 1e6)
set yrange [0.4:8.6]
set grid xtics noytics
set xlabel "time per empty task"
shift(b) = 0.62 * ((position(list, b) - 0.5) / words(list) - 0.5)
place(b, chunk) = strcol(1) eq b && column("chunk") == chunk ? position(calls, strcol(2)) - shift(b) : NaN
do for [p=1:2] {
	chunk = p == 1 ? 1 : 0
	set title (p == 1 ? "chunk 1" : "automatic chunk")
	if (p == 1) { eval legend } else { do for [i=1:words(list)] { unset label 100+i } }
	set ytics () scale 0
	do for [i=1:8] { set ytics add ((p == 1 ? word(calls, i) : "") i) }
	do for [i=1:7] { set arrow i from graph 0, first i+0.5 to graph 1, first i+0.5 nohead lw 0.7 lc rgb "#d8d8d8" }
	plot for [b in list] table using (column("ns_per_task")):(place(b, chunk)):(column("low")):(column("high")) \
		with xerrorbars lc rgb colour(b) pt mark(b) ps 1.1*mark_size, \
	     for [b in list] table using (column("ns_per_task")):(place(b, chunk)) \
		with points lc rgb colour(b) pt mark(b) ps 1.1*mark_size
}
unset multiplot
