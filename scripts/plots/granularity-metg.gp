# The smallest task that is worth it: METG 50/75/90 % and break-even with the serial loop.
table = tables.'granularity-metg.tsv'
eval canvas(1100, 560)
levels = "break-even METG90 METG75 METG50"
list = ""
least = 1e6; most = 1
# Every line counts in these sums, so that a table in which nothing was reached is no error.
span(x) = (least = x < least ? x : least, most = x > most ? x : most, x)
stats table using (list = note(list, strcol(1)), valid(4) ? span(column("ns")) : 0) nooutput
eval needs_points
stats table using (valid(5) ? span(column("low")) : 0) nooutput
stats table using (valid(6) ? span(column("high")) : 0) nooutput
if (least > most) { least = 1; most = 1e6 }
stats table using (column("chunk") == 1 ? 1 : 0) nooutput
panels = STATS_max > 0 ? 2 : 1
set logscale x 10
set xrange [0.3*least:3*most]
set xtics ('1 ns' 1, '10 ns' 10, '100 ns' 100, '1 us' 1e3, '10 us' 1e4, '100 us' 1e5, '1 ms' 1e6, '10 ms' 1e7)
set yrange [0.4:4.6]
set ytics () scale 0
do for [i=1:4] { set ytics add (word(levels, i) i) }
do for [i=1:3] { set arrow i from graph 0, first i+0.5 to graph 1, first i+0.5 nohead lw 0.7 lc rgb "#d8d8d8" }
set grid xtics noytics
set lmargin 13
set xlabel " "
set label 99 "granularity (METG), task time (break-even)" at screen 0.555, 0.155 center textcolor rgb "#222222"
set multiplot layout 1,panels margins 0.145,0.965,0.3,0.9 spacing 0.03,0
shift(b) = 0.6 * ((position(list, b) - 0.5) / words(list) - 0.5)
place(b, chunk) = strcol(1) eq b && column("chunk") == chunk ? position(levels, strcol(3)) - shift(b) : NaN
# An end that lies beyond what was measured is drawn to the frame.
left(x) = valid(5) ? column("low") : valid(6) ? 0.3*least : NaN
right(x) = valid(6) ? column("high") : valid(5) ? 3*most : NaN
# Where only an end is known the bar has no mark.
anywhere(x) = valid(4) ? column("ns") : valid(6) ? column("high") : valid(5) ? column("low") : NaN
do for [p=1:panels] {
	chunk = p == 1 ? 0 : 1
	set title (chunk == 0 ? "map, automatic chunk" : "map, chunk 1")
	if (p == 1) { eval legend } else { unset label 99; do for [i=1:words(list)] { unset label 100+i } }
	if (p == 2) { do for [i=1:4] { set ytics add ("" i) } }
	plot for [b in list] table using (anywhere(0)):(place(b, chunk)):(left(0)):(right(0)) \
		with xerrorbars lc rgb colour(b) pt 0 ps 0, \
	     for [b in list] table using (column("ns")):(place(b, chunk)) \
		with points lc rgb colour(b) pt mark(b) ps 1.2*mark_size
}
unset multiplot
