# How often a slowdown is found, by how large it is; drawn by `poolbench selftest`.
eval canvas(960, 600)
table = tables.'power.tsv'
stats table using (column("percent")) nooutput
least = STATS_min; most = STATS_max
stats table using (column("tries")) nooutput
set lmargin 10
set rmargin 3
set bmargin 7.5
set logscale x 2
set xrange [0.8*least:1.25*most]
set yrange [0:1.08]
set xtics ('1 %%' 1, '2 %%' 2, '3 %%' 3, '5 %%' 5, '10 %%' 10, '20 %%' 20)
set ytics ('0' 0, '25 %%' 0.25, '50 %%' 0.5, '75 %%' 0.75, '95 %%' 0.95)
set xlabel "slowdown put in"
set ylabel sprintf("comparisons that found it, of %d", STATS_max)
set arrow 1 from graph 0, first 0.95 to graph 1, first 0.95 nohead dt 3 lw 1 lc rgb "#666666"
set arrow 2 from first 2, graph 0 to first 2, graph 1 nohead dt 3 lw 1 lc rgb "#666666"
set label 2 "no regression\nby the rules" at first 2, graph 0.84 right offset -0.8,0 textcolor rgb "#444444"
found = rgb("#0072B2"); shown = rgb("#D55E00")
set label 11 "verdict REGRESSION" at screen 0.14, 0.075 left offset 1.2,0 textcolor rgb "#222222" point lc rgb found pt 7 ps 1.3*mark_size
set label 12 "slower with p < 5 %, by however little" at screen 0.46, 0.075 left offset 1.2,0 textcolor rgb "#222222" point lc rgb shown pt 5 ps 1.3*mark_size
plot table using (column("percent")*1.02):(column("seen")) with lines lc rgb shown lw 1.5 dt 2, \
     table using (column("percent")*1.02):(column("seen")):(column("seen_low")):(column("seen_high")) with yerrorbars lc rgb shown pt 5 ps 1.1*mark_size, \
     table using (column("percent")):(column("detected")) with lines lc rgb found lw 2, \
     table using (column("percent")):(column("detected")):(column("low")):(column("high")) with yerrorbars lc rgb found pt 7 ps 1.2*mark_size
