// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"maps"
	"slices"
	"sync"
)

// A Recorder keeps events. When Append returns nil, the event survives the end of the process
// as far as the recorder promises at all; when it returns an error, the call that the event
// tells of must fail. Append may be called concurrently.
type Recorder interface {
	Append(Event) error
}

// Discard keeps nothing. It is for benchmarks and for a server without a data directory.
type Discard struct{}

// Append forgets the event.
func (Discard) Append(Event) error { return nil }

// Memory keeps every event in memory, for tests. Make one with [NewMemory].
type Memory struct {
	mu     sync.Mutex
	events []Event
	err    error
}

// NewMemory makes an empty Memory.
func NewMemory() *Memory { return &Memory{} }

// Append keeps a copy of ev, or returns the error that Fail has set.
func (m *Memory) Append(ev Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	ev.Context = maps.Clone(ev.Context)
	m.events = append(m.events, ev)
	return nil
}

// Events lists what was kept, in order.
func (m *Memory) Events() []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}

// Fail makes every following Append return err; nil ends that.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}
