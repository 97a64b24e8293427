// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestBuckets checks that buckets follow each other without gaps, and that none is wider than 1 % of
// what it holds.
func TestBuckets(t *testing.T) {
	t.Parallel()
	for i := range buckets {
		last := highest(i)
		if got := bucket(last); got != i {
			t.Fatalf("the longest duration %d of bucket %d is counted in %d", last, i, got)
		}
		if i == buckets-1 {
			if last != math.MaxInt64 {
				t.Errorf("the last bucket ends at %d", last)
			}
			break
		}
		if got := bucket(last + 1); got != i+1 {
			t.Fatalf("after bucket %d comes %d", i, got)
		}
		if i > 0 {
			if first := highest(i-1) + 1; float64(last-first) > 0.01*float64(first) {
				t.Fatalf("bucket %d is from %d to %d", i, first, last)
			}
		}
	}
	if bucket(-5) != 0 {
		t.Error("a clock that went back is not counted as nothing")
	}
}

// TestQuantiles compares with the sorted values themselves.
func TestQuantiles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 300).Draw(t, "values")
		var parts [2]Histogram
		sum := 0.0
		for i, v := range values {
			parts[i%2].Record(time.Duration(v))
			sum += float64(v)
		}
		var h Histogram
		h.Add(&parts[1])
		h.Add(&parts[0])
		slices.Sort(values)
		if h.Count() != uint64(len(values)) || h.Min() != time.Duration(values[0]) || h.Max() != time.Duration(values[len(values)-1]) {
			t.Fatalf("count %d, min %d, max %d of %v", h.Count(), h.Min(), h.Max(), values)
		}
		if mean := sum / float64(len(values)); math.Abs(float64(h.Mean())-mean) > 1+mean*1e-9 {
			t.Fatalf("mean %d, want %f", h.Mean(), mean)
		}
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
			want := float64(values[max(0, int(math.Ceil(q*float64(len(values))))-1)])
			if got := float64(h.Quantile(q)); got < want || got > want*1.01+1 {
				t.Fatalf("quantile %v is %v, want %v within 1 %% above", q, got, want)
			}
		}
	})
}

func TestEmptyHistogram(t *testing.T) {
	t.Parallel()
	var h Histogram
	h.Add(&Histogram{})
	if h.Mean() != 0 || h.Quantile(0.5) != 0 || h.Max() != 0 {
		t.Error("nothing has durations")
	}
	if l := describe(&h); l.Curve == nil || len(l.Curve) != 0 {
		t.Errorf("the curve of nothing is %v", l.Curve)
	}
}

// TestCurve checks that a distribution's curve rises from the least to the most.
func TestCurve(t *testing.T) {
	t.Parallel()
	var h Histogram
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		h.Record(time.Duration(random.ExpFloat64() * float64(time.Millisecond)))
	}
	l := describe(&h)
	if last := l.Curve[len(l.Curve)-1]; last.Share != 1 || last.Micros != l.Max {
		t.Errorf("the curve ends at %v", last)
	}
	if !slices.IsSortedFunc(l.Curve, func(a, b Quantile) int {
		if a.Share < b.Share && a.Micros <= b.Micros {
			return -1
		}
		return 1
	}) {
		t.Errorf("the curve does not rise: %v", l.Curve)
	}
	counts, from, to := l.Shape(20)
	sum := 0.0
	for _, n := range counts {
		sum += n
	}
	if sum != 10_000 || from > to {
		t.Errorf("the shape counts %v answers from %v to %v", sum, from, to)
	}
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	for i := 0; b.Loop(); i++ {
		h.Record(time.Duration(i&0xfffff) * 100)
	}
}
