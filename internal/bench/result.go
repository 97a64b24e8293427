// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"cmp"
	"slices"
	"time"
)

// Report is what a benchmark prints as JSON. Its form is an interface: members are added and never
// changed.
type Report struct {
	Format  int       `json:"format"` // ReportFormat
	Version string    `json:"version"`
	Runs    []*Result `json:"runs"`
}

// ReportFormat is the form of a Report.
const ReportFormat = 1

// Result is what a run has measured. Times are in microseconds where their name has no unit.
type Result struct {
	Dialect     Dialect     `json:"dialect"`
	Endpoint    string      `json:"endpoint"`
	Loop        string      `json:"loop"` // "open" or "closed"
	Rate        float64     `json:"rate"` // that was due per second; 0 in a closed loop
	Connections int         `json:"connections"`
	Size        int         `json:"size"` // of plaintexts, in bytes
	Started     time.Time   `json:"started"`
	WarmUp      float64     `json:"warmUpSeconds"`
	Seconds     float64     `json:"seconds"` // that were measured
	Requests    uint64      `json:"requests"`
	Failed      uint64      `json:"failed"` // warm-up included
	Unsent      uint64      `json:"unsent"` // open loop: due, but no connection was free for them until the end
	PerSecond   float64     `json:"perSecond"`
	Interrupted bool        `json:"interrupted"`
	Latency     Latency     `json:"latency"`
	Operations  []Measured  `json:"operations"`
	Errors      []Failure   `json:"errors"`
	Timeline    []uint64    `json:"timeline"` // answers in each second
	Server      *ServerUsed `json:"server,omitempty"`
}

// Measured is one operation's part.
type Measured struct {
	Operation string  `json:"operation"`
	Requests  uint64  `json:"requests"`
	Failed    uint64  `json:"failed"`
	PerSecond float64 `json:"perSecond"`
	Latency   Latency `json:"latency"`
}

// Latency describes how long answers took.
type Latency struct {
	Min    float64    `json:"min"`
	Mean   float64    `json:"mean"`
	P50    float64    `json:"p50"`
	P90    float64    `json:"p90"`
	P99    float64    `json:"p99"`
	P999   float64    `json:"p999"`
	Max    float64    `json:"max"`
	Curve  []Quantile `json:"curve"` // the whole distribution, denser where it is rarer
	counts *Histogram
}

// Quantile is one point of a distribution.
type Quantile struct {
	Share  float64 `json:"share"` // of the answers took no longer
	Micros float64 `json:"micros"`
}

// Failure is one kind of error.
type Failure struct {
	Operation string `json:"operation"`
	Status    int    `json:"status"` // 0 without an answer
	Code      string `json:"code"`   // the API's, or "connection", or "content" for a success with the wrong content
	Message   string `json:"message"`
	Count     uint64 `json:"count"`
}

// ServerUsed is what the server's process used while it was measured.
type ServerUsed struct {
	CPUSeconds    float64 `json:"cpuSeconds"`
	CPUPerRequest float64 `json:"cpuMicrosPerRequest"`
	RSSBytes      int64   `json:"rssBytes"` // at the end
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func describe(h *Histogram) Latency {
	l := Latency{
		Min: micros(h.Min()), Mean: micros(h.Mean()), P50: micros(h.Quantile(0.5)), P90: micros(h.Quantile(0.9)),
		P99: micros(h.Quantile(0.99)), P999: micros(h.Quantile(0.999)), Max: micros(h.Max()), Curve: []Quantile{}, counts: h,
	}
	if h.Count() == 0 {
		return l
	}
	// Five points in each half of what remains, down to the last answer.
	for rest := 1.0; rest*float64(h.Count()) >= 1; rest /= 2 {
		for i := range 5 {
			share := 1 - rest*(1-float64(i)/10)
			l.Curve = append(l.Curve, Quantile{share, micros(h.Quantile(share))})
		}
	}
	l.Curve = append(l.Curve, Quantile{1, l.Max})
	return l
}

// result puts together what the workers have counted.
func (x *execution) result(end time.Time, used usage, interrupted bool) *Result {
	p := x.plan
	r := &Result{
		Dialect: p.target.Dialect, Endpoint: p.target.Endpoint, Loop: "closed", Rate: x.run.Rate,
		Connections: p.load.Connections, Size: p.load.Size, Started: x.begin.UTC(), WarmUp: x.run.WarmUp.Seconds(),
		Interrupted: interrupted, Operations: []Measured{}, Errors: []Failure{}, Timeline: []uint64{},
	}
	last := x.from
	for _, w := range x.workers {
		if w.last.After(last) {
			last = w.last
		}
	}
	r.Seconds = last.Sub(x.from).Seconds()
	all := &Histogram{}
	errs := map[Failure]uint64{}
	for i, op := range p.works {
		h := &Histogram{}
		m := Measured{Operation: op.Name}
		for _, w := range x.workers {
			h.Add(&w.stats[i].Histogram)
			m.Failed += w.stats[i].failed
		}
		m.Requests, m.Latency = h.Count(), describe(h)
		m.PerSecond = per(h.Count(), r.Seconds)
		r.Operations = append(r.Operations, m)
		r.Failed += m.Failed
		all.Add(h)
	}
	for _, w := range x.workers {
		for i, n := range w.perTime {
			for len(r.Timeline) <= i {
				r.Timeline = append(r.Timeline, 0)
			}
			r.Timeline[i] += n
		}
		for f, n := range w.errors {
			errs[f] += n
		}
	}
	for f, n := range errs {
		f.Count = n
		r.Errors = append(r.Errors, f)
	}
	slices.SortFunc(r.Errors, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
	r.Requests, r.Latency, r.PerSecond = all.Count(), describe(all), per(all.Count(), r.Seconds)
	if x.run.Rate > 0 {
		r.Loop = "open"
		until := x.to
		if end.Before(until) {
			until = end
		}
		due := int64(until.Sub(x.begin).Seconds() * x.run.Rate)
		if x.run.Requests == 0 {
			r.Unsent = uint64(max(0, due-x.slot.Load()))
		}
	}
	if used.pid != 0 && used.answers > 0 {
		r.Server = &ServerUsed{
			CPUSeconds: used.cpu.Seconds(), CPUPerRequest: micros(used.cpu) / float64(used.answers), RSSBytes: used.rss,
		}
	}
	return r
}

func per(n uint64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(n) / seconds
}
