# Time to start and end a worker by the memory the parent holds.
eval canvas(960, 600)
table = tables.'startup.tsv'
each = ""
stats table using (each = strcol(2) eq "task" ? strcol(1) : each, 0) nooutput
list = ""; raw = ""
stats table using (strcol(2) eq "start" ? (raw = note(raw, strcol(1))) : (list = note(list, strcol(1))), column("us")) nooutput
eval needs_points
least = STATS_min; most = STATS_max
stats table using (valid(5) ? column("low") : column("us")) nooutput
if (STATS_min < least) { least = STATS_min }
stats table using (valid(6) ? column("high") : column("us")) nooutput
if (STATS_max > most) { most = STATS_max }
set lmargin 11
set rmargin (raw eq "" ? 3 : 13)
set bmargin 7.5
set logscale x 2
set logscale y 10
set yrange [0.5*least:2*most]
y_all = "'1 us' 1, '10 us' 10, '100 us' 100, '1 ms' 1e3, '10 ms' 1e4, '100 ms' 1e5, '1 s' 1e6"
y_between = ", '2 us' 2, '5 us' 5, '20 us' 20, '50 us' 50, '200 us' 200, '500 us' 500, '2 ms' 2e3, '5 ms' 5e3, '20 ms' 2e4, '50 ms' 5e4, '200 ms' 2e5, '500 ms' 5e5"
eval "set ytics (".y_all.(most < 1e4 * least ? y_between : "").")"
set xtics ('1 MiB' 1, '4 MiB' 4, '16 MiB' 16, '64 MiB' 64, '256 MiB' 256, '1 GiB' 1024, '4 GiB' 4096)
set offsets graph 0.03, graph 0.03, 0, 0
set xlabel "resident memory of the parent"
set ylabel "time per worker"
name(b) = b eq each ? b.", per task" : b
columns = 3
eval legend
# The system's own ways, in grey, named to the right of their last point; vfork and a thread lie close together.
do for [b in raw] {
	last_x = 0; last_y = 0
	stats table using (strcol(1) eq b && column("parent_mib") >= last_x ? (last_x = column("parent_mib"), last_y = column("us")) : NaN) nooutput
	if (last_x > 0) { set label b at last_x, last_y left offset 1.2,(b eq "raw-thread" ? -0.3 : b eq "raw-vfork" ? 0.3 : 0) textcolor rgb "#555555" }
}
dash(b) = b eq each ? 2 : 1
raw_dash(b) = b eq "raw-fork" ? 3 : b eq "raw-spawn" ? 4 : b eq "raw-vfork" ? 5 : 1
plot for [b in list] table using (strcol(1) eq b ? column("parent_mib") : NaN):(column("us")) \
	with linespoints lc rgb colour(b) pt mark(b) ps 1.2*mark_size dt dash(b), \
     for [b in list] table using (strcol(1) eq b ? column("parent_mib") : NaN):(column("us")):(column("low")):(column("high")) \
	with yerrorbars lc rgb colour(b) pt mark(b) ps 1.2*mark_size, \
     for [b in raw] table using (strcol(1) eq b ? column("parent_mib") : NaN):(column("us")):(column("low")):(column("high")) \
	with yerrorbars lc rgb "#777777" pt 0 lw 0.8, \
     for [b in raw] table using (strcol(1) eq b ? column("parent_mib") : NaN):(column("us")) \
	with lines lc rgb "#777777" lw (b eq "raw-fork" ? 2.4 : 1.2) dt raw_dash(b)
