# Makespan over that of list scheduling by chunk size; the automatic chunk stands to the left. A panel for each backend.
table = tables.'balance.tsv'
list = ""; rows = ""
stats table using (list = note(list, strcol(1)), rows = note(rows, strcol(2)), column("chunk")) nooutput
most = most_or(1) > 1 ? STATS_max : 1
stats table using (column("makespan_over_ideal")) nooutput
eval needs_points
least = STATS_min; top = STATS_max
stats table using (valid(5) ? column("low") : column("makespan_over_ideal")) nooutput
if (STATS_min < least) { least = STATS_min }
stats table using (valid(6) ? column("high") : column("makespan_over_ideal")) nooutput
if (STATS_max > top) { top = STATS_max }
panels = words(rows)
eval canvas(panels > 1 ? 1100 : 960, 600)
set multiplot layout 1,panels margins 0.135,0.93,0.235,0.925 spacing 0.03,0
hues = "#0072B2 #D55E00 #009E73 #CC79A7"
shapes = "7 5 9 13"
# By name, so that lengths look the same whatever others the run has.
kinds = "exponential skew sorted constant"
kind(l) = position(kinds, l) ? position(kinds, l) : 1 + (position(list, l) - 1) % 4
hue(l) = rgb(word(hues, kind(l)))
called(l) = l
shape(l) = int(word(shapes, kind(l)))
set label 99 "task lengths:" at screen 0.115, screen 0.045 left textcolor rgb "#222222"
do for [i=1:words(list)] { l = word(list, i); x = 0.265 + 0.193 * (i - 1)
	set arrow 100+i from screen x, screen 0.045 to screen x+0.035, screen 0.045 nohead lw 2 lc rgb hue(l)
	set label 100+i called(l) at screen x+0.042, screen 0.045 left textcolor rgb "#222222"
	set label 200+i "" at screen x+0.0175, screen 0.045 point lc rgb hue(l) pt shape(l) ps 1.3*mark_size
}
automatic = 0.3
set logscale x 2
set logscale y 10
set xrange [0.6*automatic:1.7*most]
set yrange [(least < 1 ? 0.97*least : 0.97):1.03*top]
tight = top < 1.5
y_all = tight ? "set ytics ('0.8' 0.8, '0.9' 0.9, '1' 1, '1.1' 1.1, '1.2' 1.2, '1.3' 1.3, '1.4' 1.4)" \
	: top < 2.5 ? "set ytics ('0.5' 0.5, '0.7' 0.7, '1' 1, '1.2' 1.2, '1.4' 1.4, '1.6' 1.6, '1.8' 1.8, '2' 2)" \
	: "set ytics ('0.25' 0.25, '0.5' 0.5, '1' 1, '1.5' 1.5, '2' 2, '3' 3, '5' 5, '10' 10, '20' 20, '50' 50, '100' 100)"
y_bare = tight ? "set ytics ('' 0.8, '' 0.9, '' 1, '' 1.1, '' 1.2, '' 1.3, '' 1.4)" \
	: top < 2.5 ? "set ytics ('' 0.5, '' 0.7, '' 1, '' 1.2, '' 1.4, '' 1.6, '' 1.8, '' 2)" \
	: "set ytics ('' 0.25, '' 0.5, '' 1, '' 1.5, '' 2, '' 3, '' 5, '' 10, '' 20, '' 50, '' 100)"
set xtics ('auto' automatic, '1' 1, '4' 4, '16' 16, '64' 64, '256' 256, '1024' 1024, '4096' 4096)
set xlabel "chunk size (tasks a claim)"
set arrow 1 from graph 0, first 1 to graph 1, first 1 nohead lw 1.5 dt 2 lc rgb "#444444"
set arrow 2 from 0.58, graph 0 to 0.58, graph 1 nohead lw 1 dt 3 lc rgb "#888888"
# Side by side, so that their bars do not hide each other.
slide(l) = 1 + 0.06 * (position(list, l) - (words(list) + 1) / 2.0)
place(l) = (column("chunk") == 0 ? automatic : column("chunk")) * slide(l)
fixed(l, b) = strcol(1) eq l && strcol(2) eq b && column("chunk") > 0
all(l, b) = strcol(1) eq l && strcol(2) eq b
do for [p=1:panels] {
	b = word(rows, p)
	set title b offset 0,-0.6
	if (p == panels) { set label 1 "ideal" at graph 1, first 1 left offset 0.5,0 textcolor rgb "#444444" }
	set ylabel (p == 1 ? "time over that of list scheduling" : "") offset 0,0
	eval (p == 1 ? y_all : y_bare)
	if (p == 2) { unset label 99; do for [i=1:words(list)] { unset arrow 100+i; unset label 100+i; unset label 200+i } }
	plot for [l in list] table using (fixed(l, b) ? place(l) : NaN):(column("makespan_over_ideal")) \
		with lines lc rgb hue(l), \
	     for [l in list] table using (all(l, b) ? place(l) : NaN):(column("makespan_over_ideal")):(column("low")):(column("high")) \
		with yerrorbars lc rgb hue(l) pt shape(l) ps 1.2*mark_size, \
	     for [l in list] table using (all(l, b) ? place(l) : NaN):(column("makespan_over_ideal")) \
		with points lc rgb hue(l) pt shape(l) ps 1.2*mark_size
}
unset multiplot
