// SPDX-License-Identifier: Apache-2.0

package server

import (
	"maps"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"claviger/internal/dialect"
)

// Metrics is the page that a Prometheus server reads, with a registry of its own.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec

	mu    sync.Mutex                               // of adding to found
	found atomic.Pointer[map[answer]*answerSeries] // each map is immutable
}

// answer is what tells answers apart.
type answer struct {
	dialect, operation, code string
	status                   int
}

// answerSeries is where one kind of answer is counted.
type answerSeries struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

var _ dialect.Metrics = (*Metrics)(nil)

// NewMetrics makes the page of a server of this version.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "claviger_requests_total",
			Help: "Requests answered, by API, operation, HTTP status and the API's error code (OK for a success).",
		}, []string{"dialect", "operation", "status", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "claviger_request_duration_seconds",
			Help:    "Time from the request's header to the end of its answer, by API and operation.",
			Buckets: []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10},
		}, []string{"dialect", "operation"}),
	}
	m.found.Store(&map[answer]*answerSeries{})
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "claviger_build_info", Help: "Always 1; the labels tell the build.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	info.Set(1)
	m.registry.MustRegister(m.requests, m.duration, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Answered counts one answer.
func (m *Metrics) Answered(dialect, operation, code string, status int, took time.Duration) {
	s := m.series(answer{dialect, operation, code, status})
	s.requests.Inc()
	s.duration.Observe(took.Seconds())
}

// series finds the series of a kind of answer. They are as many as operations and error codes,
// and finding them by their labels costs more than counting.
func (m *Metrics) series(a answer) *answerSeries {
	if s := (*m.found.Load())[a]; s != nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := *m.found.Load()
	if s := known[a]; s != nil {
		return s
	}
	code := a.code
	if code == "" {
		code = "OK"
	}
	s := &answerSeries{
		requests: m.requests.WithLabelValues(a.dialect, a.operation, strconv.Itoa(a.status), code),
		duration: m.duration.WithLabelValues(a.dialect, a.operation),
	}
	more := maps.Clone(known)
	more[a] = s
	m.found.Store(&more)
	return s
}

// Gauge adds a figure that value tells when the page is read.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Counter adds a count since the start that value tells when the page is read.
func (m *Metrics) Counter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// Handler is the page.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
