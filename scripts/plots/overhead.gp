# Overhead by chunk size, a panel for each way to map.
eval canvas(1100, 800)
table = tables.'overhead.tsv'
calls = "map starmap imap map_async starmap_async imap_unordered"
list = ""
stats table using (list = note(list, strcol(1)), column("ns_per_task")) nooutput
eval needs_points
least = STATS_min; most = STATS_max
stats table using (valid(5) ? column("low") : column("ns_per_task")) nooutput
if (STATS_min < least) { least = STATS_min }
stats table using (valid(6) ? column("high") : column("ns_per_task")) nooutput
if (STATS_max > most) { most = STATS_max }
set label 99 "time per empty task" at screen 0.013,0.58 center rotate
set multiplot layout 2,3 margins 0.13,0.985,0.215,0.945 spacing 0.025,0.12
set logscale x 2
set logscale y 10
set xrange [0.7:6000]
set yrange [0.7*least:1.5*most]
set xtics ("1" 1, "16" 16, "256" 256, "4096" 4096)
y_all = "set ytics ('1 ns' 1, '10 ns' 10, '100 ns' 100, '1 us' 1e3, '10 us' 1e4, '100 us' 1e5, '1 ms' 1e6, '10 ms' 1e7)"
y_bare = "set ytics ('' 1, '' 10, '' 100, '' 1e3, '' 1e4, '' 1e5, '' 1e6, '' 1e7)"
on(b, call) = strcol(1) eq b && strcol(2) eq call && column("chunk") > 0
do for [p=1:6] {
	call = word(calls, p)
	set title call offset 0,-0.6
	eval (p % 3 == 1 ? y_all : y_bare)
	set xlabel (p == 5 ? "chunk size (tasks)" : "")
	if (p == 1) { eval legend } else { unset label 99; do for [i=1:words(list)] { unset label 100+i } }
	plot for [b in list] table using (on(b, call) ? column("chunk") : NaN):(column("ns_per_task")) \
		with linespoints lc rgb colour(b) pt mark(b) ps 1.1*mark_size, \
	     for [b in list] table using (on(b, call) ? column("chunk") : NaN):(column("ns_per_task")):(column("low")):(column("high")) \
		with yerrorbars lc rgb colour(b) pt mark(b) ps 1.1*mark_size
}
unset multiplot
