# Waits of a millisecond by number of workers: tasks a second in the left panel, memory in the right one.
eval canvas(1100, 560)
table = tables.'io.tsv'
list = ""
stats table using (list = note(list, strcol(1)), column("workers")) nooutput
eval needs_points
most = STATS_max; few = STATS_min
stats table using (column("tasks_per_s")) nooutput
least = STATS_min; top = STATS_max
stats table using (valid(4) ? column("low") : column("tasks_per_s")) nooutput
if (STATS_min < least) { least = STATS_min }
stats table using (valid(6) ? column("mib") : 0) nooutput
memory = STATS_max > 0 ? STATS_max : 1
stats table using (valid(8) ? column("mib_high") : 0) nooutput
if (STATS_max > memory) { memory = STATS_max }
undefine STATS_median
stats tables.'io-cost.tsv' using (column("bare_waits_per_s")) nooutput
bare = exists("STATS_median") ? STATS_median : NaN
set multiplot layout 1,2 margins 0.1,0.975,0.28,0.9 spacing 0.085,0
set logscale x 2
set logscale y 10
set xrange [0.85*few:1.2*most]
set yrange [0.7*least:1.6*(bare == bare && bare*most > top ? bare*most : top)]
set xtics ('1' 1, '2' 2, '4' 4, '8' 8, '16' 16, '32' 32, '64' 64)
set ytics ('100/s' 100, '1000/s' 1e3, '' 2e3, '' 5e3, '10 k/s' 1e4, '' 2e4, '' 5e4, '100 k/s' 1e5)
set xlabel "workers"
set title "tasks of 1 ms waiting, a second"
eval legend
set arrow 1 from screen 0.66, screen 0.035 to screen 0.71, screen 0.035 nohead lw 1.5 dt 2 lc rgb "#444444"
set label 1 "bare waits, all at a time" at screen 0.718, screen 0.035 left textcolor rgb "#222222"
slide(b) = 1 + 0.02 * (position(list, b) - (words(list) + 1) / 2.0)
x_of(b) = strcol(1) eq b ? column("workers") * slide(b) : NaN
set samples 200
plot bare*x with lines dt 2 lw 1.5 lc rgb "#444444", \
     for [b in list] table using (x_of(b)):(column("tasks_per_s")) \
	with linespoints lc rgb colour(b) pt mark(b) ps 1.2*mark_size, \
     for [b in list] table using (x_of(b)):(column("tasks_per_s")):(column("low")):(column("high")) \
	with yerrorbars lc rgb colour(b) pt mark(b) ps 1.2*mark_size
unset arrow 1
unset label 1
do for [i=1:words(list)] { unset label 100+i }
unset logscale y
set yrange [0:1.1*memory]
set ytics auto
set title "memory of pool and workers, MiB"
plot for [b in list] table using (x_of(b)):(column("mib")) \
	with linespoints lc rgb colour(b) pt mark(b) ps 1.2*mark_size, \
     for [b in list] table using (x_of(b)):(column("mib")):(column("mib_low")):(column("mib_high")) \
	with yerrorbars lc rgb colour(b) pt mark(b) ps 1.2*mark_size
unset multiplot
