// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// memory is what a process has resident, in bytes.
type memory struct {
	all    int64
	file   int64 // pages of files, above all of the program itself: the system may drop them at any time
	static int64 // variables that begin as zeros
}

// scratch is the memory that the FIPS 140-3 module's entropy source walks through, a variable of 32 MiB. It is
// resident once random bytes were drawn, and the standard library has no way to give it back. While the mode is
// off it is never touched.
const scratch = 32 << 20

// own is what a process takes without the scratch of the FIPS module, in MiB.
func (m memory) own() float64 {
	if m.static < scratch {
		return mib(m.all)
	}
	return mib(m.all - scratch)
}

func (m memory) figure(name, target string) figure {
	return figure{name, fmt.Sprintf("%.1f (%.1f in all, of it the FIPS module's scratch %.0f, the program's file %.1f)",
		m.own(), mib(m.all), mib(m.all)-m.own(), mib(m.file)), target}
}

var (
	mapping  = regexp.MustCompile(`^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ (\d+) *(.*)$`)
	resident = regexp.MustCompile(`^Rss: +(\d+) kB`)
)

// memoryOf reads what the kernel tells of a process's memory.
func memoryOf(pid int) (memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return memory{}, err
	}
	return parseMaps(string(text))
}

// parseMaps adds up the mappings. Static variables are in the one without a file that follows the
// program's own.
func parseMaps(text string) (m memory, err error) {
	var end string // of the mapping before
	file, static := false, false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if f := mapping.FindStringSubmatch(line); f != nil {
			was := file
			file = f[3] != "0"
			static = was && !file && f[1] == end && f[4] == ""
			end = f[2]
			continue
		}
		f := resident.FindStringSubmatch(line)
		if f == nil {
			continue
		}
		kib, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return memory{}, fmt.Errorf("memory map: %w", err)
		}
		m.all += kib << 10
		switch {
		case file:
			m.file += kib << 10
		case static:
			m.static += kib << 10
		}
	}
	if m.all == 0 {
		return memory{}, errors.New("the memory map has no resident page")
	}
	return m, nil
}

// cpuTime is what a process has used of CPU. The kernel counts it for each thread, in nanoseconds; a thread
// that ended is no longer counted.
func cpuTime(pid int) (sum time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread ended just now
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}
