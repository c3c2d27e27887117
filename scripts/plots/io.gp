# Waits of a millisecond by number of workers: tasks a second on the left, memory on the right.
eval canvas(960, 640)
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
stats tables.'io-cost.tsv' using (column("bare_waits_per_s")) nooutput
bare = STATS_median
set lmargin 13
set rmargin 9
set tmargin 1.5
set bmargin 8.5
set logscale x 2
set logscale y 10
set xrange [0.85*few:1.2*most]
set yrange [0.7*least:1.6*(bare*most > top ? bare*most : top)]
set y2range [0:1.6*memory]
set xtics ('1' 1, '2' 2, '4' 4, '8' 8, '16' 16, '32' 32, '64' 64)
set ytics ('100/s' 100, '1000/s' 1e3, '10 k/s' 1e4, '100 k/s' 1e5)
set y2tics nomirror textcolor rgb "#555555"
set border 11
set grid noy2tics
set xlabel "workers"
set ylabel "tasks of 1 ms waiting"
set y2label "memory of pool and workers, MiB" textcolor rgb "#555555"
columns = 4
legend_y(i) = 0.105 - 0.04 * ((i - 1) / columns)
eval legend
set arrow 1 from screen 0.11, screen 0.03 to screen 0.15, screen 0.03 nohead lw 2 lc rgb "#444444"
set label 1 "tasks a second (left)" at screen 0.158, screen 0.03 left textcolor rgb "#222222"
set arrow 2 from screen 0.42, screen 0.03 to screen 0.46, screen 0.03 nohead lw 2 dt 3 lc rgb "#444444"
set label 2 "memory (right)" at screen 0.468, screen 0.03 left textcolor rgb "#222222"
set arrow 3 from screen 0.66, screen 0.03 to screen 0.70, screen 0.03 nohead lw 1.5 dt 2 lc rgb "#444444"
set label 3 "bare waits, all at a time" at screen 0.708, screen 0.03 left textcolor rgb "#222222"
slide(b) = 1 + 0.02 * (position(list, b) - (words(list) + 1) / 2.0)
x_of(b) = strcol(1) eq b ? column("workers") * slide(b) : NaN
set samples 200
plot bare*x with lines dt 2 lw 1.5 lc rgb "#444444", \
     for [b in list] table using (x_of(b)):(column("mib")) axes x1y2 \
	with linespoints lc rgb colour(b) dt 3 pt mark(b) ps 0.8*mark_size, \
     for [b in list] table using (x_of(b)):(column("mib")):(column("mib_low")):(column("mib_high")) axes x1y2 \
	with yerrorbars lc rgb colour(b) pt mark(b) ps 0.8*mark_size, \
     for [b in list] table using (x_of(b)):(column("tasks_per_s")) \
	with linespoints lc rgb colour(b) pt mark(b) ps 1.2*mark_size, \
     for [b in list] table using (x_of(b)):(column("tasks_per_s")):(column("low")):(column("high")) \
	with yerrorbars lc rgb colour(b) pt mark(b) ps 1.2*mark_size
