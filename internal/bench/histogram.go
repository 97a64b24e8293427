// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"math"
	"math/bits"
	"time"
)

// Histogram counts durations in buckets that are narrow where durations are short: each power of
// two is divided into 128, so that a value is told within 1 %. It takes 57 KiB, never grows,
// and holds anything from a nanosecond to the longest duration. The zero value is empty.
type Histogram struct {
	counts [buckets]uint64
	total  uint64
	sum    float64
	min    time.Duration
	max    time.Duration
}

const (
	subBits = 7
	sub     = 1 << subBits
	buckets = (64 - subBits) * sub
)

// bucket is where a duration is counted: itself below 128, then its exponent and the seven bits
// after the first.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < sub {
		return int(v)
	}
	exponent := bits.Len64(v) - 1 - subBits
	return exponent*sub + int(v>>exponent) //nolint:gosec // G115: it is below 256
}

// highest is the longest duration of a bucket.
func highest(i int) time.Duration {
	if i < 2*sub {
		return time.Duration(i)
	}
	exponent := i/sub - 1
	return time.Duration(int64(i%sub+sub+1)<<exponent - 1) // of the last bucket -1 wraps to the longest
}

// Record counts one duration.
func (h *Histogram) Record(d time.Duration) {
	h.counts[bucket(d)]++
	if h.total == 0 || d < h.min {
		h.min = d
	}
	h.total++
	h.sum += float64(d)
	h.max = max(h.max, d)
}

// Add counts all that another has counted.
func (h *Histogram) Add(other *Histogram) {
	if other.total == 0 {
		return
	}
	for i, n := range other.counts {
		h.counts[i] += n
	}
	if h.total == 0 || other.min < h.min {
		h.min = other.min
	}
	h.total += other.total
	h.sum += other.sum
	h.max = max(h.max, other.max)
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.total }

// Min, Max and Mean are exact. Of nothing they are 0.
func (h *Histogram) Min() time.Duration { return h.min }

// Max is the longest duration.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean is the average.
func (h *Histogram) Mean() time.Duration {
	if h.total == 0 {
		return 0
	}
	return time.Duration(h.sum / float64(h.total))
}

// Quantile is a duration that the share q of all, from 0 to 1, does not exceed: the longest of its
// bucket, and never more than Max.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.total)))
	var seen uint64
	for i, n := range h.counts {
		if seen += n; n > 0 && seen >= rank {
			return min(highest(i), h.max)
		}
	}
	return h.max
}
