# SPDX-License-Identifier: Apache-2.0
# Plots of bench.csv in the current folder; `machine` is set by bench/run.

if (!exists("machine")) machine = ""
set terminal pngcairo noenhanced size 1100,700 font ",11"
set key outside right
set grid
set format y "%g"

# Lines of a bench whose case starts with a prefix, or ends with a suffix; and those who have such lines, each quoted.
match(bench, start, end) = sprintf("$1 == \"%s\" && index($2, \"%s\") == 1 && $2 ~ /%s$/", bench, start, end)
everybody(bench, start, end) = system("awk -F, '".match(bench, start, end)." && !seen[$3]++ { printf \"\\047%s\\047 \", $3 }' bench.csv")
select(bench, start, end, who, what) = "< awk -F, '".match(bench, start, end)." && $3 == \"".who."\" { n = split($2, part, \"-\"); print ".what." }' bench.csv"
sized(bench, start, who) = select(bench, start, "", who, "part[n], $5, $6, $7")

set logscale xy
set format x "%.0s %cB"
set xrange [32:4e8]
set xlabel "size of a message"

do for [kind in "single bulk"] {
	all = everybody("rate", kind."-", "")
	if (words(all) == 0) { continue }
	set output sprintf("rate-%s.png", kind)
	set title sprintf("allocate, send, receive, release: %s calls\n%s", kind, machine)
	set ylabel "million messages per second"
	plot for [i = 1:words(all)] sized("rate", kind."-", word(all, i)) using 1:2:3:4 with yerrorlines title word(all, i)
	# The same as bytes: what a message stands for, whether or not it was copied.
	set output sprintf("throughput-%s.png", kind)
	set title sprintf("throughput against size, %s calls; nothing is written or read\n%s", kind, machine)
	set ylabel "GB/s handed over"
	plot for [i = 1:words(all)] sized("rate", kind."-", word(all, i)) using 1:($1 * $2 * 1e-3) with linespoints title word(all, i)
}

do for [kind in "spin-hand-back spin-alloc block-hand-back block-alloc"] {
	all = everybody("rtt", kind."-", "")
	if (words(all) == 0) { continue }
	set output sprintf("rtt-%s.png", kind)
	set title sprintf("one message there and back: %s\n%s", kind, machine)
	set ylabel "round trip, p50, ns"
	plot for [i = 1:words(all)] sized("rtt", kind."-", word(all, i)) using 1:2:3:4 with yerrorlines title word(all, i)
}

# Latency distribution: the share of round trips that took longer, of 64-byte messages.
set xrange [*:*]
set yrange [5e-4:1.2]
set format x "%.0s %cs"
set xlabel "round trip"
set ylabel "share of round trips that took longer"
do for [kind in "spin-hand-back spin-alloc block-hand-back block-alloc"] {
	all = everybody("rtt-distribution", kind."-64", "-64")
	if (words(all) == 0) { continue }
	set output sprintf("latency-%s.png", kind)
	set title sprintf("latency distribution, 64 B, %s\n%s", kind, machine)
	plot for [i = 1:words(all)] select("rtt-distribution", kind."-64", "-64", word(all, i), "$5 * 1e-9, 1 - substr($4, 2) / 100") using 1:2 with linespoints title word(all, i)
}

all = everybody("timeframe", "", "-4k-write-read")
if (words(all) > 0) {
	unset logscale
	set logscale y
	set xrange [*:*]
	set yrange [*:*]
	set format x "%s"
	set xlabel ""
	set ylabel "GB/s, written and read"
	set style data histogram
	set style histogram clustered gap 1
	set style fill solid 0.7
	set output "timeframe.png"
	set title sprintf("timeframes written and read, 4 KiB pages\n%s", machine)
	plot for [i = 1:words(all)] select("timeframe", "", "-4k-write-read", word(all, i), "substr($2, 1, length($2) - 14), $5") using 2:xtic(1) title word(all, i)
}
