# How long one apply takes: the share of calls that took at least as long.
table = tables.'latency.tsv'
list = ""
raw(b) = b eq "hiccup" || substr(b, 1, 4) eq "raw-"
stats table using (list = raw(strcol(1)) ? list : note(list, strcol(1)), column("us")) nooutput
eval needs_points
least = STATS_min; most = STATS_max
others = ""
stats table using (others = raw(strcol(1)) ? note(others, strcol(1)) : others, 0) nooutput
stats table using (valid(4) ? column("low") : column("us")) nooutput
if (STATS_min < least) { least = STATS_min }
stats table using (valid(5) ? column("high") : column("us")) nooutput
if (STATS_max > most) { most = STATS_max }
stats table using (column("exceedance")) nooutput
eval canvas(960, 640)
set lmargin 10
set rmargin 3
set tmargin 1.5
set logscale xy 10
set xrange [0.6*least:1.6*most]
set yrange [0.5*STATS_min:1.6]
set xtics ('100 ns' 0.1, '1 us' 1, '10 us' 10, '100 us' 100, '1 ms' 1e3, '10 ms' 1e4, '100 ms' 1e5)
set ytics ('all' 1, '50 %%' 0.5, '10 %%' 0.1, '1 %%' 0.01, '0.1 %%' 0.001, '0.01 %%' 0.0001, '10 ppm' 0.00001, '1 ppm' 0.000001)
set xlabel "latency of one apply"
set ylabel "calls that took as long or longer"
is(b) = strcol(1) eq b
pools = words(list)
list = list.(list eq "" ? "" : " ").others
hue(b) = b eq "hiccup" ? rgb("#999999") : b eq "raw-futex" ? rgb("#444444") : b eq "raw-spin" ? rgb("#5D3A9B") : raw(b) ? rgb("#8A7A00") : colour(b)
dash(b) = b eq "hiccup" ? 1 : raw(b) ? 2 : 1
thick(b) = b eq "hiccup" ? 4 : raw(b) ? 1.5 : 2
shape(b) = b eq "hiccup" ? 0 : b eq "raw-futex" ? 8 : b eq "raw-spin" ? 12 : raw(b) ? 10 : mark(b)
called(b) = b eq "hiccup" ? "spinner, no pool" : b eq "raw-futex" ? "futex round trip" : b eq "raw-pipe" ? "pipe round trip" : b eq "raw-spin" ? "spinning round trip" : b
# Names in three columns below: a piece of each curve with its mark. From ten on it takes a row more.
more = words(list) > 9 ? (words(list) - 7) / 3 : 0
set bmargin 8.5 + 1.7 * more
do for [i=1:words(list)] { b = word(list, i)
	x = 0.11 + 0.29 * ((i - 1) % 3); y = 0.125 - 0.045 * ((i - 1) / 3 - more)
	set arrow 100+i from screen x, screen y to screen x+0.045, screen y nohead lw thick(b) dt dash(b) lc rgb hue(b)
	set label 100+i called(b) at screen x+0.055, screen y left textcolor rgb "#222222"
	set label 200+i "" at screen x+0.0225, screen y point lc rgb hue(b) pt shape(b) ps 1.3*mark_size
}
plot for [b in list] table using (is(b) ? column("us") : NaN):(column("exceedance")) \
	with linespoints lc rgb hue(b) dt dash(b) lw thick(b) pt shape(b) ps mark_size, \
     for [b in list] table using (is(b) ? column("us") : NaN):(column("exceedance")):(column("low")):(column("high")) \
	with xerrorbars lc rgb hue(b) pt shape(b) ps mark_size
