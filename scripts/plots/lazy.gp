# Eager and lazy input: memory above an idle pool (left), time to the first result (right).
table = tables.'lazy.tsv'
calls = "map imap imap_unordered"
hues = "#D55E00 #0072B2 #009E73"
shapes = "5 7 9"
list = ""
stats table using (list = note(list, strcol(1)), column("tasks")) nooutput
eval needs_points
least_tasks = STATS_min; most_tasks = STATS_max
eval canvas(1100, 560)
# One line of names for the calls, one for the backends.
do for [s=1:3] {
	x = 0.11 + 0.25 * (s - 1)
	set label 100+s word(calls, s) at screen x,0.085 left offset 1.2,0 textcolor rgb "#222222" \
		point lc rgb rgb(word(hues, s)) pt int(word(shapes, s)) ps 1.3*mark_size
}
dash(i) = i == 1 ? 1 : i == 2 ? 2 : 3
do for [i=1:words(list)] {
	x = 0.11 + 0.25 * (i - 1)
	set arrow 100+i from screen x-0.012,0.032 to screen x+0.028,0.032 nohead lw 2 dt dash(i) lc rgb "#444444"
	set label 110+i word(list, i) at screen x+0.036,0.032 left textcolor rgb "#222222"
}
set multiplot layout 1,2 margins 0.105,0.98,0.265,0.91 spacing 0.1,0
set logscale xy 10
set xrange [0.6*least_tasks:1.7*most_tasks]
set xtics ('100' 100, '1 000' 1e3, '10 000' 1e4, '100 000' 1e5, '10^6' 1e6, '10^7' 1e7)
set xlabel "tasks"
is(b, call) = strcol(1) eq b && strcol(2) eq call
# Calls of one size lie a little apart, so that equal values are all seen.
slide(s, i) = 1 + 0.07 * (s - 2) + 0.03 * (i - 1)
do for [p=1:2] {
	value = p == 1 ? 4 : 7
	set yrange [*:*] # or stats would leave out what is beyond the former panel's
	stats table using (column(value)) nooutput
	least = STATS_min; most = STATS_max
	stats table using (valid(value+1) ? column(value+1) : column(value)) nooutput
	if (STATS_min < least) { least = STATS_min }
	stats table using (valid(value+2) ? column(value+2) : column(value)) nooutput
	if (STATS_max > most) { most = STATS_max }
	set yrange [0.5*least:2*most]
	set title (p == 1 ? "most memory above the idle pool" : "time to the first result")
	if (p == 1) { set ytics ('1 KiB' 1, '10 KiB' 10, '100 KiB' 100, '1 MiB' 1024, '10 MiB' 10240, '100 MiB' 102400, '1 GiB' 1048576)
	} else { set ytics ('1 us' 1e-3, '10 us' 1e-2, '100 us' 0.1, '1 ms' 1, '10 ms' 10, '100 ms' 100, '1 s' 1e3, '10 s' 1e4) 
		do for [s=1:3] { unset label 100+s }
		do for [i=1:words(list)] { unset arrow 100+i; unset label 110+i } }
	plot for [s=1:3] for [i=1:words(list)] table using (is(word(list, i), word(calls, s)) ? column("tasks") * slide(s, i) : NaN):(column(value)) \
		with linespoints lc rgb rgb(word(hues, s)) pt int(word(shapes, s)) ps 1.1*mark_size lw 2 dt dash(i), \
	     for [s=1:3] for [i=1:words(list)] table using (is(word(list, i), word(calls, s)) ? column("tasks") * slide(s, i) : NaN):(column(value)):(column(value+1)):(column(value+2)) \
		with yerrorbars lc rgb rgb(word(hues, s)) pt int(word(shapes, s)) ps 1.1*mark_size
}
unset multiplot
