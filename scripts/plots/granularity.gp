# Efficiency by granularity, a panel for each chunk policy that was measured.
table = tables.'granularity.tsv'
list = ""
stats table using (list = strcol(1) eq "forked" ? list : note(list, strcol(1)), column("granularity_ns")) nooutput
eval needs_points
least = STATS_min; most = STATS_max
stats table using (strcol(1) ne "forked" && column("chunk") == 1 ? 1 : 0) nooutput
panels = STATS_max > 0 ? 2 : 1
stats table using (valid(8) ? column("high") : column("efficiency")) nooutput
eval needs_points
top = STATS_max > 1.06 ? 1.06*STATS_max : 1.12
eval canvas(1100, 600)
set multiplot layout 1,panels margins 0.105,0.97,0.265,0.91 spacing 0.03,0
set logscale x 10
set xrange [0.7*least:1.4*most]
set yrange [0:top]
set xtics ('1 ns' 1, '10 ns' 10, '100 ns' 100, '1 us' 1e3, '10 us' 1e4, '100 us' 1e5, '1 ms' 1e6, '10 ms' 1e7)
set xlabel "granularity: wall time x cores / tasks"
on(b, chunk) = strcol(1) eq b && column("chunk") == chunk
do for [p=1:panels] {
	chunk = p == 1 ? 0 : 1
	set title (chunk == 0 ? "map, automatic chunk" : "map, chunk 1")
	set ylabel (p == 1 ? "efficiency (1: plain forked processes)" : "")
	set ytics 0,0.25,1 format (p == 1 ? "%.2f" : "")
	if (p == 1) { eval legend } else { do for [i=1:words(list)] { unset label 100+i } }
	set arrow 1 from graph 0, first 0.5 to graph 1, first 0.5 nohead lw 1 dt 2 lc rgb "#666666"
	plot for [b in list] table using (on(b, chunk) ? column("granularity_ns") : NaN):(column("efficiency")) \
		with linespoints lc rgb colour(b) pt mark(b) ps 1.1*mark_size, \
	     for [b in list] table using (on(b, chunk) ? column("granularity_ns") : NaN):(column("efficiency")):(column("low")):(column("high")) \
		with yerrorbars lc rgb colour(b) pt mark(b) ps 1.1*mark_size
}
unset multiplot
