# Bytes and tasks a second by payload, a column for each direction.
table = tables.'payload.tsv'
raw(b) = substr(b, 1, 4) eq "raw-"
key(b, memory) = b."/".memory
list = ""; roofs = ""
stats table using (list = raw(strcol(2)) ? list : note(list, key(strcol(2), strcol(3))), column("bytes")) nooutput
eval needs_points
least = STATS_min; most = STATS_max
stats table using (roofs = raw(strcol(2)) ? note(roofs, strcol(2)) : roofs, column("mb_per_s")) nooutput
mb_least = STATS_min; mb_most = STATS_max
stats table using (raw(strcol(2)) ? NaN : column("tasks_per_s")) nooutput
tasks_least = least_or(1); tasks_most = most_or(1)
end(l, value) = valid(l) ? column(l) : column(value)
stats table using (end(6, "mb_per_s")) nooutput
if (STATS_min < mb_least) { mb_least = STATS_min }
stats table using (end(7, "mb_per_s")) nooutput
if (STATS_max > mb_most) { mb_most = STATS_max }
stats table using (raw(strcol(2)) ? NaN : end(9, "tasks_per_s")) nooutput
if (least_or(tasks_least) < tasks_least) { tasks_least = STATS_min }
stats table using (raw(strcol(2)) ? NaN : end(10, "tasks_per_s")) nooutput
if (most_or(tasks_most) > tasks_most) { tasks_most = STATS_max }
eval canvas(1100, 900)
backend(k) = substr(k, 1, strstrt(k, "/") - 1)
in_place(k) = substr(k, strstrt(k, "/") + 1, strlen(k)) eq "pool"
dash(k) = in_place(k) ? 2 : 1
shape(k) = in_place(k) ? 12 : mark(backend(k))
called(k) = name(backend(k)).(in_place(k) ? ", in place" : "")
roof_name(b) = b eq "raw-stream" ? "one pipe, no pool" : "memcpy, no pool"
roof_dash(b) = b eq "raw-stream" ? 4 : 3
# Names in three columns below: a piece of each curve with its mark. No two of one width: the SVG terminal would make one path
# of neighbours of one colour and width, with the dashes of the first.
do for [i=1:words(list)+words(roofs)] {
	x = 0.11 + 0.3 * ((i - 1) % 3); y = 0.07 - 0.035 * ((i - 1) / 3)
	j = i - words(list)
	if (j < 1) { k = word(list, i)
		set arrow 100+i from screen x, screen y to screen x+0.045, screen y nohead lw 2+0.01*i dt dash(k) lc rgb colour(backend(k))
		set label 100+i called(k) at screen x+0.055, screen y left textcolor rgb "#222222"
		set label 200+i "" at screen x+0.0225, screen y point lc rgb colour(backend(k)) pt shape(k) ps 1.3*mark_size
	} else { b = word(roofs, j)
		set arrow 100+i from screen x, screen y to screen x+0.045, screen y nohead lw 2.5+0.01*i dt roof_dash(b) lc rgb "#777777"
		set label 100+i roof_name(b) at screen x+0.055, screen y left textcolor rgb "#222222"
	}
}
clear_names = 'do for [i=1:words(list)+words(roofs)] { unset arrow 100+i; unset label 100+i; unset label 200+i }; unset label 98; unset label 99'
# No titles of axes: those are put left of the numbers, here beyond the edge.
set label 98 "bytes a second" at screen 0.018, 0.77 center rotate textcolor rgb "#222222"
set label 99 "tasks a second" at screen 0.018, 0.37 center rotate textcolor rgb "#222222"
set multiplot layout 2,2 margins 0.155,0.97,0.19,0.95 spacing 0.045,0.05
set logscale x 2
set logscale y 10
set xrange [0.6*least:1.7*most]
x_all = "set xtics ('1 B' 1, '32 B' 32, '1 KiB' 1024, '32 KiB' 32768, '1 MiB' 1048576, '64 MiB' 67108864)"
x_bare = "set xtics ('' 1, '' 32, '' 1024, '' 32768, '' 1048576, '' 67108864)"
y_mb = "set ytics ('0.1 MB/s' 0.1, '1 MB/s' 1, '10 MB/s' 10, '100 MB/s' 100, '1 GB/s' 1e3, '10 GB/s' 1e4, '100 GB/s' 1e5)"
y_tasks = "set ytics ('0.1/s' 0.1, '1/s' 1, '10/s' 10, '100/s' 100, '1000/s' 1e3, '10 k/s' 1e4, '100 k/s' 1e5, '1 M/s' 1e6, '10 M/s' 1e7, '100 M/s' 1e8)"
y_bare = "set ytics ('' 0.1, '' 1, '' 10, '' 100, '' 1e3, '' 1e4, '' 1e5, '' 1e6, '' 1e7, '' 1e8)"
# Side by side, so that their bars do not hide each other.
slide(k) = 1.12**(position(list, k) - (words(list) + 1) / 2.0)
is(k, direction) = strcol(1) eq direction && key(strcol(2), strcol(3)) eq k
roof(b, direction) = strcol(1) eq direction && strcol(2) eq b
do for [p=1:4] {
	direction = p % 2 == 1 ? "in" : "out"
	top = p < 3
	what = top ? "mb" : "tasks"
	set title (top ? (direction eq "in" ? "argument of the task" : "result of the task") : "") offset 0,-0.6
	set xlabel (top ? "" : "payload of one task")
	eval (top ? x_bare : x_all)
	eval (direction eq "out" ? y_bare : top ? y_mb : y_tasks)
	if (top) { set yrange [0.6*mb_least:1.7*mb_most] } else { set yrange [0.6*tasks_least:1.7*tasks_most] }
	if (p == 2) { eval clear_names }
	plot for [b in roofs] table using (roof(b, direction) ? column("bytes") : NaN):(column(what."_per_s")) \
		with lines lc rgb "#777777" lw 2.5 dt roof_dash(b), \
	     for [k in list] table using (is(k, direction) ? column("bytes") * slide(k) : NaN):(column(what."_per_s")) \
		with linespoints lc rgb colour(backend(k)) dt dash(k) pt shape(k) ps 1.1*mark_size, \
	     for [k in list] table using (is(k, direction) ? column("bytes") * slide(k) : NaN):(column(what."_per_s")):(column(what."_low")):(column(what."_high")) \
		with yerrorbars lc rgb colour(backend(k)) pt shape(k) ps 1.1*mark_size
}
unset multiplot
