// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// Shape counts answers in n classes of durations, each as many times as long as the one before, from
// the shortest to the longest. Both are in microseconds. Of nothing it is empty.
func (l *Latency) Shape(n int) (counts []float64, from, to float64) {
	if l.counts == nil || l.counts.total == 0 {
		return nil, 0, 0
	}
	from, to = max(l.Min, 0.1), max(l.Max, l.Min+0.1)
	counts = make([]float64, n)
	step := math.Log(to/from) / float64(n)
	for i, c := range l.counts.counts {
		if c > 0 {
			at := math.Log(max(micros(highest(i)), from) / from)
			counts[min(n-1, int(at/step))] += float64(c)
		}
	}
	return counts, from, to
}

// The plot's measures in pixels.
const (
	plotWidth  = 900
	plotHeight = 330
	plotLeft   = 90
	plotTop    = 50
	plotRight  = 230
	plotBottom = 45
)

// colours are those of Okabe and Ito, which most people can tell apart.
var colours = [...]string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"}

// line is one curve.
type line struct {
	name   string
	points [][2]float64 // 0 to 1 in both directions
}

// Plot draws results as an SVG: how long the answers took, by share of the answers, and how many came
// in each second. Both axes of the first are logarithmic, so that the slowest thousandth is as wide as
// the slowest tenth.
func Plot(runs []*Result) []byte {
	var b bytes.Buffer
	height := 2 * plotHeight
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, height, plotWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, height)
	plotLatencies(&b, runs)
	fmt.Fprintf(&b, `<g transform="translate(0 %d)">`+"\n", plotHeight)
	plotTimeline(&b, runs)
	fmt.Fprint(&b, "</g>\n</svg>\n")
	return b.Bytes()
}

func curveName(r *Result, op string, runs []*Result) string {
	if len(runs) > 1 {
		return string(r.Dialect) + " " + op
	}
	return op
}

func plotLatencies(b *bytes.Buffer, runs []*Result) {
	least, most, deepest := math.Inf(1), 0.0, 2.0 // of microseconds, and of how many nines there are
	for _, r := range runs {
		for _, m := range r.Operations {
			for _, q := range m.Latency.Curve {
				least, most = min(least, q.Micros), max(most, q.Micros)
				if q.Share < 1 {
					deepest = max(deepest, -math.Log10(1-q.Share))
				}
			}
		}
	}
	if most <= 0 {
		least, most = 1, 10
	}
	least, most = math.Pow(10, math.Floor(math.Log10(max(least, 1)))), math.Pow(10, math.Ceil(math.Log10(max(most, 2))))
	height := func(v float64) float64 { return math.Log(max(v, least)/least) / math.Log(most/least) }
	var lines []line
	for _, r := range runs {
		for _, m := range r.Operations {
			l := line{name: curveName(r, m.Operation, runs)}
			for _, q := range m.Latency.Curve {
				if q.Share < 1 {
					l.points = append(l.points, [2]float64{-math.Log10(1-q.Share) / deepest, height(q.Micros)})
				}
			}
			lines = append(lines, l)
		}
	}
	frame(b, "How long answers took, by share of the answers", lines)
	for share := 0; float64(share) <= deepest; share++ {
		label := []string{"0", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"}[min(share, 6)]
		mark(b, float64(share)/deepest, label, false)
	}
	for v := least; v <= most*1.01; v *= 10 {
		mark(b, height(v), duration(v), true)
	}
}

// duration writes a power of ten of microseconds.
func duration(micros float64) string {
	switch {
	case micros >= 1e6:
		return fmt.Sprintf("%.0f s", micros/1e6)
	case micros >= 1e3:
		return fmt.Sprintf("%.0f ms", micros/1e3)
	}
	return fmt.Sprintf("%.0f µs", micros)
}

func plotTimeline(b *bytes.Buffer, runs []*Result) {
	most, longest := 1.0, 1
	for _, r := range runs {
		longest = max(longest, len(r.Timeline))
		for _, n := range r.Timeline {
			most = max(most, float64(n))
		}
	}
	var lines []line
	for _, r := range runs {
		l := line{name: string(r.Dialect)}
		for i, n := range r.Timeline {
			l.points = append(l.points, [2]float64{(float64(i) + 0.5) / float64(longest), float64(n) / most})
		}
		lines = append(lines, l)
	}
	frame(b, "Answers in each second", lines)
	mark(b, 0, "0 s", false)
	mark(b, 1, fmt.Sprintf("%d s", longest), false)
	mark(b, 0, "0", true)
	mark(b, 1, fmt.Sprintf("%.0f", most), true)
}

// at is where a point lies.
func at(x, y float64) (float64, float64) {
	return plotLeft + x*(plotWidth-plotLeft-plotRight), plotHeight - plotBottom - y*(plotHeight-plotTop-plotBottom)
}

// frame draws title, axes, curves and their names.
func frame(b *bytes.Buffer, title string, lines []line) {
	x0, y0 := at(0, 0)
	x1, y1 := at(1, 1)
	fmt.Fprintf(b, `<text x="%d" y="25" font-size="15">%s</text>`+"\n", plotLeft, html.EscapeString(title))
	fmt.Fprintf(b, `<path d="M%.1f %.1fV%.1fH%.1f" fill="none" stroke="#444"/>`+"\n", x0, y1, y0, x1)
	for i, l := range lines {
		colour := colours[i%len(colours)]
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, colour)
		for _, p := range l.points {
			x, y := at(p[0], p[1])
			fmt.Fprintf(b, "%.1f,%.1f ", x, y)
		}
		fmt.Fprintln(b, `"/>`)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="%s">%s</text>`+"\n", x1+15, plotTop+10+18*i, colour, html.EscapeString(l.name))
	}
}

// mark draws a line across the plot with its value beside the axis.
func mark(b *bytes.Buffer, v float64, label string, vertical bool) {
	if vertical {
		x, y := at(0, v)
		right, _ := at(1, v)
		fmt.Fprintf(b, `<path d="M%.1f %.1fH%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="end">%s</text>`+"\n", x, y, right, x-8, y+4, label)
		return
	}
	x, y := at(v, 0)
	_, top := at(v, 1)
	fmt.Fprintf(b, `<path d="M%.1f %.1fV%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n", x, y, top, x, y+20, label)
}
