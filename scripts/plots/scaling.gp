# Speedup by number of workers; the ideal is drawn up to the CPUs only.
eval canvas(960, 600)
table = tables.'scaling.tsv'
list = ""
stats table using (list = note(list, strcol(1)), column("workers")) nooutput
eval needs_points
most = STATS_max
stats table using (column("speedup")) nooutput
eval needs_points
stats table using (valid(5) ? column("high") : column("speedup")) nooutput
top = STATS_max > cpus ? STATS_max : cpus
set lmargin 9
set rmargin 3
set bmargin 7.5
set logscale x 2
set xrange [0.85:1.2*most]
set yrange [0:1.15*top]
set xtics 1,2
set xlabel "workers"
set ylabel "speedup over the serial loop"
eval legend
set label 2 "ideal " at sqrt(cpus), sqrt(cpus) right offset 0,0.7 textcolor rgb "#444444"
set arrow 1 from cpus, graph 0 to cpus, graph 1 nohead dt 3 lw 1 lc rgb "#666666"
set label 1 sprintf("%d CPU%s ", cpus, cpus == 1 ? "" : "s") at cpus, graph 0.05 right textcolor rgb "#444444"
slide(b) = 1 + 0.012 * (position(list, b) - (words(list) + 1) / 2.0)
set samples 200
plot (x >= 1 && x <= cpus ? x : NaN) with lines dt 2 lw 1.5 lc rgb "#444444", \
     for [b in list] table using (strcol(1) eq b ? column("workers") * slide(b) : NaN):(column("speedup")) \
	with linespoints lc rgb colour(b) pt mark(b) ps 1.2*mark_size, \
     for [b in list] table using (strcol(1) eq b ? column("workers") * slide(b) : NaN):(column("speedup")):(column("low")):(column("high")) \
	with yerrorbars lc rgb colour(b) pt mark(b) ps 1.2*mark_size
