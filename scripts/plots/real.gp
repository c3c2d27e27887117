# Speedup over the serial loop, by workload and backend.
table = tables.'real.tsv'
list = ""; loads = ""
stats table using (list = strcol(2) eq "loop" ? list : note(list, strcol(2)), loads = note(loads, strcol(1)), column("speedup")) nooutput
eval needs_points
if (words(list) == 0) { exit }
stats table using (valid(5) ? column("high") : column("speedup")) nooutput
eval canvas(960, 190 + 75 * words(loads))
set lmargin 14
set rmargin 3
set bmargin 8
set yrange [words(loads)+0.5:0.5]
set ytics () scale 0
do for [i=1:words(loads)] { set ytics add (word(loads, i) i) }
do for [i=1:words(loads)-1] { set arrow i from graph 0, first i+0.5 to graph 1, first i+0.5 nohead lw 0.7 lc rgb "#d8d8d8" }
set arrow 100 from 1, graph 0 to 1, graph 1 nohead lw 1.5 lc rgb "#444444"
set arrow 101 from cpus, graph 0 to cpus, graph 1 nohead dt 3 lw 1 lc rgb "#666666"
most = 1.08 * (STATS_max > cpus ? STATS_max : cpus)
cpus_text = sprintf("%d CPU%s", cpus, cpus == 1 ? "" : "s")
# Each above its line, or on both sides of the two where they are close.
if (cpus - 1 < 0.15 * most) {
	set label 1 cpus_text at cpus, graph 1 left offset 0.6,0.6 textcolor rgb "#444444"
	set label 2 "serial loop" at 1, graph 1 right offset -0.6,0.6 textcolor rgb "#444444"
} else {
	set label 1 cpus_text at cpus, graph 1 center offset 0,0.6 textcolor rgb "#444444"
	set label 2 "serial loop" at 1, graph 1 center offset 0,0.6 textcolor rgb "#444444"
}
set tmargin 2.5
set xrange [0:most]
set xlabel "speedup over the serial loop"
set grid xtics noytics
eval legend
shift(b) = 0.66 * ((position(list, b) - 0.5) / words(list) - 0.5)
place(b) = strcol(2) eq b ? position(loads, strcol(1)) + shift(b) : NaN
plot for [b in list] table using (column("speedup")):(place(b)):(column("low")):(column("high")) \
	with xerrorbars lc rgb colour(b) pt mark(b) ps 1.2*mark_size, \
     for [b in list] table using (column("speedup")):(place(b)) with points lc rgb colour(b) pt mark(b) ps 1.2*mark_size
