# What one task costs, from the serial loop over OpenMP and all pools to CPython: a row for each, a mark for each call.
# The number beside a row's first and last mark is its value.
table = tables.'peers.tsv'
series = "'map, default chunk' 'map, chunk 1' 'imap, chunk 1' 'apply'"
hues = "#0072B2 #D55E00 #009E73 #CC79A7"
shapes = "7 5 9 13"
array legend_at[4] = [0.2, 0.44, 0.635, 0.83]
count = 0
array name_of[64]; array note_of[64]; array low_of[64]; array high_of[64]; array from[64]; array upto[64]
known(w) = sum [i=1:count] (name_of[i] eq w ? i : 0)
add(w) = known(w) ? known(w) : (count = count + 1, name_of[count] = w, note_of[count] = "", low_of[count] = NaN, high_of[count] = NaN, from[count] = NaN, upto[count] = NaN, count)
tell(w, note) = (k = add(w), note_of[k] = note eq "measured" ? "" : note, k)
lesser(a, b) = a == a && a < b ? a : b
greater(a, b) = a == a && a > b ? a : b
reach(w, x) = (k = add(w), low_of[k] = lesser(low_of[k], x), high_of[k] = greater(high_of[k], x), from[k] = lesser(from[k], x), upto[k] = greater(upto[k], x), x)
# The numbers stand outside of the intervals.
stretch(w, low, high) = (k = add(w), from[k] = lesser(from[k], low), upto[k] = greater(upto[k], high), low)
stats table using (tell(strcol(1), strcol(7))) nooutput
stats table using (reach(strcol(1), column("ns_per_task"))) nooutput
stats table using (valid(4) ? stretch(strcol(1), column("low"), column("high")) : column("ns_per_task")) nooutput
stats table using (column("ns_per_task")) nooutput
# A run of a few cells may have measured nobody: then nothing but the names is drawn.
least = exists("STATS_min") ? STATS_min : 1; most = exists("STATS_max") ? STATS_max : 1
stats table using (valid(4) ? column("low") : column("ns_per_task")) nooutput
if (exists("STATS_min") && STATS_min < least) { least = STATS_min }
stats table using (valid(5) ? column("high") : column("ns_per_task")) nooutput
if (exists("STATS_max") && STATS_max > most) { most = STATS_max }
eval canvas(1100, 150 + 46 * count)
set lmargin at screen 0.2
set rmargin at screen 0.955
set tmargin 2.6
set bmargin 3.8
set logscale x 10
set xrange [0.04*least:20*most]
set xtics ('' 0.1, '1 ns' 1, '' 10, '100 ns' 100, '' 1e3, '10 us' 1e4, '' 1e5, '1 ms' 1e6, '' 1e7, '100 ms' 1e8)
set xlabel "time per task (square of an integer), 2 workers"
set yrange [count+0.5:0.5]
set ytics () scale 0
set grid xtics noytics
shown(x) = x < 1 ? sprintf("%.2f ns", x) : x < 10 ? sprintf("%.1f ns", x) : x < 1e3 ? sprintf("%.0f ns", x) : x < 1e4 ? sprintf("%.1f us", x/1e3) : x < 1e6 ? sprintf("%.0f us", x/1e3) : sprintf("%.1f ms", x/1e6)
do for [i=1:count] {
	set ytics add (name_of[i] i)
	if (i < count) { set arrow i from graph 0, first i+0.5 to graph 1, first i+0.5 nohead lw 0.7 lc rgb "#d8d8d8" }
	if (note_of[i] ne "") { set label 200+i note_of[i] at graph 0.02, first i left textcolor rgb "#666666" } else {
		set label 200+i shown(low_of[i])." " at from[i], i right offset -0.8,0 textcolor rgb "#222222"
		if (high_of[i] > low_of[i]) { set label 300+i " ".shown(high_of[i]) at upto[i], i left offset 0.8,0 textcolor rgb "#222222" }
	}
}
do for [s=1:words(series)] {
	set label 100+s word(series, s) at screen legend_at[s], screen 1 - 24.0 / (150 + 46 * count) left offset 1.2,0 textcolor rgb "#222222" \
		point lc rgb rgb(word(hues, s)) pt int(word(shapes, s)) ps 1.4*mark_size
}
is_call(s) = strcol(2) eq word(series, s)
# Marks of one row lie a little apart, so that two of the same value are both seen.
place(s) = is_call(s) ? known(strcol(1)) + 0.13 * (s - 2.5) : NaN
plot for [s=1:words(series)] table using (is_call(s) ? column("ns_per_task") : NaN):(place(s)):(column("low")):(column("high")) \
	with xerrorbars lc rgb rgb(word(hues, s)) pt int(word(shapes, s)) ps 1.3*mark_size, \
     for [s=1:words(series)] table using (is_call(s) ? column("ns_per_task") : NaN):(place(s)) \
	with points lc rgb rgb(word(hues, s)) pt int(word(shapes, s)) ps 1.3*mark_size
